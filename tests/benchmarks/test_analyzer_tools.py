"""What the analyzer's figures are measured with: cold processes, generated files, other tools."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from benchmarks.analyzer import cold, given, light_networks, other_tools, others
from benchmarks.analyzer.found import Found, deviation, of_document, of_others
from benchmarks.analyzer.generate import NODES_PER_LAYER, Decoder, decoder_of, write
from benchmarks.analyzer.race import OURS, File, Runner, race
from onnxbench.graph.analysis import analyze
from onnxbench.graph.formulas import evaluate, parse

MEGABYTE = 1 << 20


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


class TestCold:
    def test_time_and_memory_are_those_of_the_command_alone(self) -> None:
        ballast = bytearray(200 * MEGABYTE)
        ballast[::4096] = b"1" * len(ballast[::4096])
        ended = cold.run(python("import time; time.sleep(0.3); print('said')"), limit_s=30)
        assert ended.well
        assert ended.stdout == "said\n"
        assert 0.3e9 <= ended.wall_ns < 10e9
        assert ended.rss_bytes < 50 * MEGABYTE, "this process's own memory is not in it"
        assert len(ballast) == 200 * MEGABYTE

    def test_memory_is_the_peak(self) -> None:
        ended = cold.run(python("b = b'1' * (100 << 20); del b"), limit_s=30)
        assert 100 * MEGABYTE <= ended.rss_bytes < 150 * MEGABYTE

    def test_a_command_is_killed_with_its_children_when_time_is_up(self, tmp_path: Path) -> None:
        alive = tmp_path / "alive"
        child = f"import time; time.sleep(1.5); open({str(alive)!r}, 'w')"
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        ended = cold.run(python(code), limit_s=0.3)
        assert ended.timed_out
        assert not ended.well
        assert ended.wall_ns < 1.4e9
        time.sleep(1.7)
        assert not alive.exists()

    def test_a_command_gets_no_more_memory_than_it_may_have(self) -> None:
        ended = cold.run(python("bytearray(1 << 30)"), limit_s=30, limit_bytes=256 * MEGABYTE)
        assert not ended.well
        assert ended.stderr.endswith("MemoryError\n")

    def test_a_failure_and_a_missing_program_are_results(self) -> None:
        assert cold.run(python("raise SystemExit(3)"), limit_s=30).code == 3
        missing = cold.run(["/no/such/program"], limit_s=30)
        assert missing.code == 127
        assert "/no/such/program" in missing.stderr

    def test_it_runs_in_a_folder_of_its_own_in_the_environment_given(self) -> None:
        code = "import os; print(os.listdir(), os.environ.get('MARK'), 'PATH' in os.environ)"
        ended = cold.run(python(code), limit_s=30, environment={"MARK": "1"})
        assert ended.stdout == "[] 1 False\n"


class TestGenerate:
    @pytest.mark.parametrize("shape", [(2, 7), ("batch", "tokens")])
    def test_a_decoder_costs_what_its_formula_says(
        self, tmp_path: Path, shape: tuple[int | str, int | str]
    ) -> None:
        path = tmp_path / "decoder.onnx"
        decoder = Decoder(layers=3, width=12, inner=20, heads=3, shape=shape)
        write(path, decoder)
        onnx.checker.check_model(onnx.load(path), full_check=True)
        found = analyze(path)
        assert found.exact
        assert found.node_count == decoder.nodes == 3 * NODES_PER_LAYER
        assert found.macs == parse(decoder.macs)
        tokens = 2 * 7
        by_hand = 3 * (tokens * (4 * 12 * 12 + 2 * 12 * 20) + 2 * 2 * 7 * 7 * 12)
        assert evaluate(found.macs, {"batch": 2, "tokens": 7}) == by_hand

    def test_weights_are_the_same_wherever_they_are_stored(self, tmp_path: Path) -> None:
        decoder = Decoder(layers=1, width=8, inner=8)
        for storage in ("embedded", "hole", "external"):
            write(tmp_path / f"{storage}.onnx", decoder, storage)
        ones, zeros, outside = (
            {each.name: each for each in onnx.load(tmp_path / f"{name}.onnx").graph.initializer}
            for name in ("embedded", "hole", "external")
        )
        assert list(ones) == list(zeros) == list(outside)
        matrices = [name for name, each in ones.items() if len(each.dims) == 2]
        assert len(matrices) == 6
        for name in matrices:
            assert np.all(numpy_helper.to_array(ones[name]) == 1)
            assert np.all(numpy_helper.to_array(zeros[name]) == 0)
            assert np.all(numpy_helper.to_array(outside[name]) == 0)
            assert ones[name].dims == zeros[name].dims == outside[name].dims

    @pytest.mark.parametrize("storage", ["hole", "external"])
    def test_large_weights_take_no_room(self, tmp_path: Path, storage: Any) -> None:
        decoder = Decoder(layers=2, width=2048, inner=4096)
        write(tmp_path / "large.onnx", decoder, storage)
        files = [each.stat() for each in tmp_path.iterdir()]
        length = sum(each.st_size for each in files)
        assert decoder.weight_bytes < length < decoder.weight_bytes + MEGABYTE
        assert sum(each.st_blocks * 512 for each in files) < 4 * MEGABYTE

    def test_the_same_arguments_give_the_same_file(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write(tmp_path / name, decoder_of(100))
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert decoder_of(100).nodes == 2 * NODES_PER_LAYER


class TestOtherTools:
    """The script is run in this interpreter, with counters that do what real ones have done."""

    @pytest.fixture(autouse=True)
    def counters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forever(_path: str) -> Any:
            time.sleep(60)

        def leave(_path: str) -> Any:
            sys.exit("invalid file")

        counters = {
            "well": lambda path: {"macs": 12.0, "params": np.int64(len(path)), "said": ["Erf"]},
            "crash": lambda _path: os._exit(9),
            "greedy": lambda _path: len(bytearray(1 << 32)),
            "forever": forever,
            "leave": leave,
        }
        monkeypatch.setattr(other_tools, "COUNTERS", counters)

    @pytest.mark.parametrize(
        ("tool", "found"),
        [
            ("well", {"macs": 12, "params": 6, "said": ["Erf"]}),
            ("crash", {"error": "its process ended with code 9"}),
            ("greedy", {"error": "MemoryError: "}),
            ("forever", {"error": "not ready in 0.5 s"}),
            ("leave", {"error": "SystemExit: invalid file"}),
        ],
    )
    def test_each_file_is_read_in_a_bounded_child(self, tool: str, found: dict[str, Any]) -> None:
        limit_s = 0.5 if tool == "forever" else 30.0
        assert other_tools._in_child(tool, "a.onnx", limit_s, 1 << 31) == found

    def test_an_interpreter_without_the_tools_has_none(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        others.installed.cache_clear()
        monkeypatch.delenv(given.OTHER_TOOLS, raising=False)
        assert others.installed() == {}
        assert others.note() == f"other tools not asked: {given.OTHER_TOOLS} is not set"
        others.installed.cache_clear()
        monkeypatch.setenv(given.OTHER_TOOLS, sys.executable)
        assert "qonnx" not in others.installed()
        others.installed.cache_clear()


class TestFound:
    def test_lines_and_documents_are_read(self) -> None:
        assert of_others('{"macs": 5, "params": 2, "said": ["Erf"]}') == Found(5, 2, ("Erf",))
        assert of_others('{"error": "bad\\u001b[0m"}').error == "bad\ufffd[0m"
        document: dict[str, Any] = {"macs": None, "formulas": {"macs": "3*B"}, "params": 1}
        document["unknown"] = [{"op": "Custom"}]
        assert of_document(json.dumps(document)) == Found(parse("3*B"), 1, ("Custom",))

    @pytest.mark.parametrize(
        ("found", "truth", "text"),
        [
            (200, 200, "exact"),
            (220, 200, "+10.0%"),
            (199_990, 200_000, "-0.005%"),
            (None, 200, "none"),
            (0, parse("3*B"), "wrong"),
            (parse("3*B"), parse("3*B"), "exact"),
            (4, 0, "wrong"),
        ],
    )
    def test_a_deviation_is_told(self, found: Any, truth: Any, text: str) -> None:
        assert deviation(found, truth) == text


def test_a_race_measures_the_command_and_reads_what_it_says(tmp_path: Path) -> None:
    decoder = Decoder(layers=1, shape=("batch", "tokens"))
    write(tmp_path / "open.onnx", decoder)
    (tmp_path / "bad.onnx").write_bytes(b"no protobuf")
    macs = parse(decoder.macs)
    good = Runner(OURS, File("open", tmp_path / "open.onnx", decoder.nodes, macs), 2)
    bad = Runner(OURS, File("bad", tmp_path / "bad.onnx", 0, macs), 2)
    race([good, bad])
    assert len(good.ended) == 2
    assert good.right
    assert good.row()[-1] == "exact"
    assert 1e-3 < good.wall_s < 60
    assert 20e6 < good.rss_bytes < 500e6
    assert len(bad.ended) == 1, "a run that fails is the last"
    assert not bad.right
    assert "onnx" in bad.found().error.lower()
    assert bad.raw()["found"]["macs"] is None


def test_light_networks_have_the_nodes_that_are_told() -> None:
    for name, network in light_networks.NETWORKS.items():
        assert len(onnx.load(light_networks.path(name)).graph.node) == network.nodes
