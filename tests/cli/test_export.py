"""`onnxbench export`, and what `run` and `analyze` export by themselves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from rich.cells import cell_len

from tests.cli.command import (
    Ran,
    Typed,
    assert_none_left,
    children_below,
    end,
    ended,
    measure,
    onnxbench,
    start,
    wait_for,
    without_override,
)
from tests.cli.conftest import save, value

NETWORKS = Path(__file__).parents[1] / "exporters" / "networks.py"
TOY = Path(__file__).with_name("toy.py")
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def catalog(place: Path, relu: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models.yaml in the working folder, and the exporter that its ``toy:`` entries need."""
    plugins = place / "plugins"
    info = plugins / "toy-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[onnxbench.exporters]\ntoy = onnxbench_toy:Toy\n")
    shutil.copy(TOY, plugins / "onnxbench_toy.py")
    monkeypatch.setenv("PYTHONPATH", str(plugins), prepend=os.pathsep)
    shutil.copy(relu, place / "relu.onnx")
    (place / "html.onnx").write_text("<html>")
    toys = ("good", "scaled", "crash", "hang", "hostile", "memory")
    path = place / "models.yaml"
    path.write_text(
        "version: 1\nmodels:\n"
        + "".join(f'  - {{id: {name}, source: "toy:{name}"}}\n' for name in toys)
        + '  - {id: relu, source: "file:relu.onnx"}\n'
        + '  - {id: html, source: "file:html.onnx"}\n'
        + '  - {id: light, source: "onnx-light:squeezenet", weights: light}\n'
        + '  - {id: paddled, source: "paddle:ResNet50"}\n'
        + "suites:\n  two: [relu, light]\n"
    )
    return path


def export(*arguments: str | Path, code: int = 0, **options: Any) -> Ran:
    ran = onnxbench("export", *arguments, **options)
    assert ran.code == code, ran.err + ran.out
    return ran


def left_over(home: Path) -> list[Path]:
    partial_folder = home / "artifacts" / "partial"
    return list(partial_folder.iterdir()) if partial_folder.exists() else []


# ---- what is good


def test_the_document_has_a_row_for_each_model_in_the_order_asked(
    catalog: Path, place: Path
) -> None:
    names = ["relu", "good", "light"]
    ran = export(*names, "--jobs", "2", "--json")
    assert set(ran.document) == {"schema", "seconds", "artifacts"}
    rows = ran.document["artifacts"]
    assert [row["id"] for row in rows] == names
    assert [row["status"] for row in rows] == ["ok"] * 3
    assert [row["cached"] for row in rows] == [False] * 3
    assert 0 < max(row["seconds"] for row in rows) <= ran.document["seconds"]
    good = rows[1]
    assert good["parity"]["passed"]
    assert [case["batch"] for case in good["parity"]["cases"]] == [1, 3]
    assert Path(good["path"]) == place / "home/artifacts" / good["sha256"] / "model.onnx"
    assert rows[0]["path"] == str(place / "relu.onnx"), "relative to the catalogue; not copied"
    for name in names:
        assert f"{name}: ok, " in ran.err
    again = export(*names, "--json", "-q")
    assert again.err == ""
    assert [row["cached"] for row in again.document["artifacts"]] == [True] * 3
    assert [row["sha256"] for row in again.document["artifacts"]] == [r["sha256"] for r in rows]
    assert left_over(place / "home") == []


def test_the_table_fits(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export("--suite", "two", "good", "-q")
    for width in (60, 80, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        ran = export("--suite", "two", "good", "html", code=3)
        assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["html"]
        lines = ran.out.splitlines()
        assert max(map(cell_len, lines)) <= width
        assert lines[0].split()[0] == "model"
        assert [line.split()[0] for line in lines[2:6]] == ["good", "html", "relu", "light"]
        assert "refused-input [1]" in lines[3]
        assert "3 of 4 models ok, 3 unchanged" in ran.out


def test_quiet_says_nothing_on_stderr(catalog: Path) -> None:
    assert export("relu", "html", "-q", code=3).err == ""


def test_all_of_the_catalogue_is_the_default(catalog: Path) -> None:
    catalog.write_text('version: 1\nmodels: [{id: relu, source: "file:relu.onnx"}]\n')
    rows = export("--json").document["artifacts"]
    assert [row["id"] for row in rows] == ["relu"]


# ---- what cannot be understood


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        (["gooood"], "usage", "did you mean good?"),
        (["zz*"], "usage", "no model matches zz*"),
        (["--suite", "tow"], "usage", "did you mean two?"),
        (["good", "--weights", "foo"], "usage", "--weights random"),
        (["good", "--opset", "3"], "usage", "--opset"),
        (["good", "--keep-bn", "--simplify"], "usage", "one of the two"),
        (["good", "--jobs", "0"], "usage", "--jobs"),
        (["good", "--seed", "-1"], "usage", "--seed"),
        (["good", "--timeout", "x"], "usage", "--timeout"),
        (["good", "--max-memory", "lots"], "usage", "--max-memory"),
        (["good", "--models", "missing.yaml"], "catalog", "name another file with --models"),
        (["good", "--models", "html.onnx"], "catalog", "html.onnx:1:1"),
        (["none.onnx"], "usage", "none.onnx: No such file"),
    ],
    ids=lambda found: " ".join(found) if isinstance(found, list) else None,
)
def test_bad_usage_is_told_before_anything_runs(
    catalog: Path, place: Path, typed: Typed, words: list[str], kind: str, says: str
) -> None:
    ran = typed("export", *words, "--json")
    assert ran.code == 2
    error = ran.document["error"]
    assert error["kind"] == kind
    assert says in f"{error['message']} {error['hint']}"
    assert ran.err.startswith("error: ")
    assert not (place / "home").exists()
    text = typed("export", *words)
    assert (text.code, text.out, text.err) == (2, "", ran.err)


# ---- what fails


def test_a_failing_model_is_a_row_and_the_others_go_on(catalog: Path, place: Path) -> None:
    ran = export("crash", "html", "good", "scaled", "paddled", "--json", code=3)
    rows = {row["id"]: row for row in ran.document["artifacts"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "crash": "crashed",
        "html": "refused-input",
        "good": "ok",
        "scaled": "wrong-output",
        "paddled": "error",
    }
    assert rows["scaled"]["parity"]["max_abs"] > 0.1
    assert rows["paddled"]["error"]["hint"].startswith("onnxbench install paddle")
    for name, row in rows.items():
        assert (row["path"] is None) == (name != "good")
        assert (row["error"] is None) == (name == "good")
        if row["error"] is not None:
            assert row["error"]["message"]
            assert row["error"]["hint"], name
            assert "--batch" not in row["error"]["hint"], "no option of export"
            assert "--cell-timeout" not in row["error"]["hint"], "no option of export"
    assert left_over(place / "home") == []


def test_all_failed(catalog: Path) -> None:
    ran = export("html", "crash", "--json", "--jobs", "2", code=4)
    assert [row["status"] for row in ran.document["artifacts"]] == ["refused-input", "crashed"]


def test_hostile_text_never_reaches_the_terminal(catalog: Path, place: Path) -> None:
    name = "a\x1b[31m\u202e[red].onnx"
    (place / name).write_text("<html>")
    for words in (["--json"], []):
        ran = export("hostile", "crash", f"./{name}", *words, code=4)
        assert not DANGEROUS.search(ran.out)
        assert not DANGEROUS.search(ran.err)
        assert "[bold]markup[/bold]" in ran.out, "no markup is interpreted"
        assert "[bold]markup[/bold]" in ran.err
        assert len(ran.out) + len(ran.err) < 40_000
        if words:
            messages = [row["error"]["message"] for row in ran.document["artifacts"]]
            assert not any(map(DANGEROUS.search, messages))


def test_a_network_that_needs_too_much_memory(catalog: Path) -> None:
    ran = export("memory", "--max-memory", "300MB", "--json", code=4)
    (row,) = ran.document["artifacts"]
    assert row["status"] == "oom"
    assert "raise --max-memory" in row["error"]["hint"]


def test_a_network_that_never_ends(catalog: Path) -> None:
    ran = export("hang", "--timeout", "2s", "--json", code=4)
    (row,) = ran.document["artifacts"]
    assert row["status"] == "timeout-hard"
    assert row["error"]["hint"] == "raise --timeout"


# ---- who interrupts


def hung(temporary: Path) -> bool:
    """Tell whether the child that never ends has come that far."""
    job = [pid for pid in children_below(temporary) if Path(f"/proc/{pid}/cmdline").exists()]
    return any(b"job.json" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in job)


@pytest.mark.parametrize(
    ("sent", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)]
)
def test_what_was_finished_before_an_interrupt_stays(
    catalog: Path, place: Path, temporary: Path, sent: signal.Signals, times: int
) -> None:
    with ended(start("export", "relu", "hang", "light", "--json")) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"relu: ok")
        wait_for(lambda: hung(temporary))
        for _ in range(times):
            process.send_signal(sent)
        ran = end(process, timeout=10)
    assert ran.code == 130
    assert ran.err.endswith("interrupted\n")
    if ran.out or times == 1:  # one document or none
        assert [row["id"] for row in ran.document["artifacts"]] == ["relu"]
    assert_none_left(temporary)
    assert left_over(place / "home") == []
    assert list(temporary.iterdir()) == []
    (row,) = export("relu", "--json").document["artifacts"]
    assert row["cached"]


def test_a_killed_export_leaves_no_process_and_the_next_one_cleans_up(
    catalog: Path, place: Path, temporary: Path
) -> None:
    with ended(start("export", "hang")) as process:
        wait_for(lambda: hung(temporary))
        time.sleep(1)  # a child that still starts ends by itself when it next says something
        process.kill()
        process.wait()
        assert_none_left(temporary)
    assert len(left_over(place / "home")) == 1
    export("good")
    assert left_over(place / "home") == []


def test_the_same_model_at_the_same_time(catalog: Path, place: Path) -> None:
    with (
        ended(start("export", "good", "--json")) as one,
        ended(start("export", "good", "--json")) as two,
    ):
        documents = [end(each).document for each in (one, two)]
    rows = [row for document in documents for row in document["artifacts"]]
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert rows[0]["sha256"] == rows[1]["sha256"]
    kept = [each for each in (place / "home/artifacts").iterdir() if len(each.name) == 64]
    assert len(kept) == 1
    assert left_over(place / "home") == []


# ---- where it is kept


def test_a_home_that_is_a_file(catalog: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "home").write_text("")
    (row,) = export("good", "--json", code=4).document["artifacts"]
    assert str(place / "home") in row["error"]["message"]
    assert "ONNXBENCH_HOME" in row["error"]["hint"]
    ran = measure("good", code=4)
    assert str(place / "home") in ran.records[0]["error"]["message"]


def test_a_home_that_may_not_be_written(catalog: Path, place: Path) -> None:
    (place / "home").mkdir(mode=0o500)
    ran = export("good", "--json", code=4, preexec_fn=without_override)
    (row,) = ran.document["artifacts"]
    assert "Permission denied" in row["error"]["message"]
    assert "ONNXBENCH_HOME" in row["error"]["hint"]


def test_a_full_disk(catalog: Path, place: Path) -> None:
    home = place / "home"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        (row,) = export("good", "--json", code=4).document["artifacts"]
    finally:
        subprocess.run(["umount", str(home)], check=True)
    assert "No space left" in row["error"]["message"]
    assert row["error"]["hint"]


def test_a_damaged_artifact_is_exported_again(catalog: Path) -> None:
    (row,) = export("good", "--json").document["artifacts"]
    path = Path(row["path"])
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    (again,) = export("good", "--json").document["artifacts"]
    assert (again["status"], again["cached"]) == ("ok", False)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:40])
    (record,) = measure("good", "-r", "cpu").records
    assert record["status"] == "ok"
    assert path.read_bytes() == whole


# ---- what other commands export


def test_run_exports_on_demand(catalog: Path, place: Path) -> None:
    ran = measure("good", "--weights", "random")
    (record,) = ran.records
    model = record["cell"]["model"]
    assert model["weights"] == "random: seed 0"
    (row,) = export("good", "--weights", "random", "--json").document["artifacts"]
    assert row["cached"], "run has kept it"
    assert row["sha256"] in json.dumps(model)
    before = Path(row["path"]).stat()
    assert measure("good", "--weights", "random", "--fresh").records[0]["status"] == "ok"
    assert Path(row["path"]).stat() == before
    assert "random: seed 0" in onnxbench("report").out


def test_run_of_what_cannot_be_exported(catalog: Path) -> None:
    ran = measure("crash", "relu", "paddled", code=3)
    records = {record["cell"]["model"]["id"]: record for record in ran.records}
    assert {name: each["status"] for name, each in records.items()} == {
        "crash": "crashed",
        "relu": "ok",
        "paddled": "error",
    }
    assert "SIGSEGV" in records["crash"]["error"]["message"]
    assert records["crash"]["error"]["phase"] == "export"
    assert records["paddled"]["error"]["hint"].startswith("onnxbench install paddle")
    assert measure("crash", code=4).records[0]["status"] == "crashed"


def test_analyze_exports_on_demand(catalog: Path) -> None:
    document = onnxbench("analyze", "good", "--json").document
    assert document["model"]["id"] == "good" if "model" in document else document
    ran = onnxbench("analyze", "paddled", "--json")
    assert ran.code == 2
    assert ran.document["error"]["hint"].startswith("onnxbench install paddle")


# ---- files


def test_a_file_is_simplified_and_converted(catalog: Path, place: Path) -> None:
    words = ("relu", "--simplify", "--opset", "19", "--json")
    (row,) = export(*words).document["artifacts"]
    assert row["passes"] == ["simplify"]
    assert onnx.load(row["path"]).opset_import[0].version == 19
    assert export(*words).document["artifacts"][0]["cached"]
    assert (place / "relu.onnx").stat().st_size < Path(row["path"]).stat().st_size


def test_a_file_whose_inputs_nobody_can_make_up(catalog: Path, place: Path) -> None:
    shapes: dict[str, tuple[list[int | str], int]] = {
        "words": (["N", 4], TensorProto.STRING),
        "open": (["N", "M"], TensorProto.FLOAT),
    }
    for name, (shape, kind) in shapes.items():
        node = helper.make_node("Identity", ["x"], ["y"])
        graph = helper.make_graph([node], "g", [value("x", shape, kind)], [value("y", shape, kind)])
        save(place / f"{name}.onnx", graph)
    ran = export("words.onnx", "open.onnx", "--opset", "18", "--json", code=4)
    words, opened = (row["error"] for row in ran.document["artifacts"])
    assert "no values can be made up for input 'x'" in words["message"]
    assert "open dim beside the batch" in opened["message"]
    assert "models.yaml" in opened["hint"]


class _Quiet(SimpleHTTPRequestHandler):
    served: list[str]

    def log_message(self, *_: object) -> None:
        self.served.append(self.path)


@pytest.fixture
def server(place: Path) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server of this test's folder, and the paths that it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Quiet,), {"served": asked})
    found = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(place)))
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}", asked
    found.shutdown()
    found.server_close()


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte now and then, for ever."""
    stop = threading.Event()

    class Drip(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    self.wfile.write(b"x")

    found = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    stop.set()
    found.shutdown()
    found.server_close()


def test_a_download_is_kept(catalog: Path, place: Path, server: tuple[str, list[str]]) -> None:
    address, asked = server
    content = (place / "relu.onnx").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    source = f"source: 'url:{address}/relu.onnx'"
    catalog.write_text(
        f"version: 1\nmodels:\n  - {{id: right, {source}, sha256: '{digest}'}}\n"
        f"  - {{id: wrong, {source}, sha256: '{'0' * 64}'}}\n"
    )
    right, wrong = export("--json", code=3).document["artifacts"]
    assert Path(right["path"]).read_bytes() == content
    assert digest in wrong["error"]["message"]
    assert "models.yaml" in wrong["error"]["hint"]
    assert len(asked) == 2
    assert export("right", "--json").document["artifacts"][0]["cached"]
    assert measure("right").records[0]["status"] == "ok"
    assert len(asked) == 2, "it is downloaded once"
    words = ("right", "--opset", "18", "--json")
    assert not export(*words).document["artifacts"][0]["cached"]
    assert export(*words).document["artifacts"][0]["cached"]
    assert len(asked) == 2, "it is downloaded once"
    assert left_over(place / "home") == []


def test_a_download_that_never_ends(
    catalog: Path, place: Path, temporary: Path, dripping: str
) -> None:
    source = f"source: 'url:{dripping}/m.onnx'"
    catalog.write_text(f"version: 1\nmodels: [{{id: slow, {source}, sha256: '{'0' * 64}'}}]\n")
    (row,) = export("--timeout", "1s", "--json", code=4).document["artifacts"]
    assert row["error"]["hint"] == "raise --timeout"
    with ended(start("export", "--json")) as process:
        wait_for(lambda: left_over(place / "home"))
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert end(process, timeout=5).code == 130
    assert left_over(place / "home") == []


# ---- torch


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for what torch exported: only the first test waits for it."""
    if find_spec("torch") is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to run these tests; torch is absent")
        pytest.skip("needs torch")
    return tmp_path_factory.mktemp("torch") / "home"


@pytest.fixture
def torch_catalog(place: Path, torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXBENCH_HOME", str(torch_home))
    path = place / "models.yaml"
    path.write_text(
        f'version: 1\nmodels:\n  - id: small\n    source: "torch:{NETWORKS}:small"\n'
        "    weights: random\n    inputs: {image: [batch, 3, 16, 16]}\n"
        '  - {id: vision, source: "torchvision:squeezenet1_1.IMAGENET1K_V1"}\n'
        '  - {id: timm, source: "timm:lcnet_050.ra2_in1k"}\n'
    )
    return path


def test_a_torch_network_is_exported_measured_and_analyzed(torch_catalog: Path) -> None:
    (record,) = measure("small").records
    assert record["status"] == "ok"
    assert record["cell"]["model"]["weights"] == "random: seed 0"
    (row,) = export("small", "--json").document["artifacts"]
    assert row["cached"]
    assert row["route"].startswith("torch.onnx")
    assert row["counts"]["agree"]
    analyzed = onnxbench("analyze", "small", "--json").document
    assert str(row["macs"]) in json.dumps(analyzed)


@pytest.mark.parametrize("name", ["vision", "timm"])
def test_weights_that_cannot_be_had_name_the_way_out(
    torch_catalog: Path, place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(place / "empty"))
    (record,) = measure(name, code=4).records
    assert record["status"] == "error"
    assert record["error"]["phase"] == "export"
    assert "--weights random" in record["error"]["hint"]


def test_torch_in_too_little_memory(torch_catalog: Path) -> None:
    ran = export("small", "--fresh", "--max-memory", "300MB", "--json", code=4)
    (row,) = ran.document["artifacts"]
    assert row["status"] in {"oom", "error", "crashed"}, "an allocation fails wherever it is"
    assert row["error"]["message"]
