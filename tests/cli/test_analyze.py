"""``analyze`` from the outside: figures, views, formats, errors, streams."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.command import Typed, argv, end, onnxbench, start
from tests.cli.conftest import save, value
from tests.cli.test_parent import imported
from tests.corpus import CASES, Case

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
RESNET = LIGHT / "light_resnet50.onnx"
RESNET_MACS, RESNET_PARAMS = 4_089_184_256, 25_557_032

PROMISED = {
    "macs", "flops", "transcendentals", "params", "buffers", "weight_bytes",
    "peak_activation_bytes", "exact", "unknown", "formulas",
}  # fmt: skip
PROMISED_OF_NODES = {
    "name", "op", "domain", "macs", "flops", "params", "bytes_read", "bytes_written", "status"
}  # fmt: skip

OF_INPUTS = {"unknown-dtype", "bad-dims", "name-too-long"}
"""What is wrong with a declared input forbids a run, but not always a count."""


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models: attention (x: BxSx8, symbolic), foreign (an operator that nobody knows)."""
    folder = tmp_path_factory.mktemp("zoo")
    weight = numpy_helper.from_array(np.ones((8, 16), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="/enc/0/mm"),
        helper.make_node("Transpose", ["y"], ["t"], name="/enc/t", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["y", "t"], ["s"], name="/enc/1/mm"),
        helper.make_node("Softmax", ["s"], ["p"], name="/head/softmax"),
    ]
    graph = helper.make_graph(
        nodes, "g", [value("x", ["B", "S", 8])], [value("p", ["B", "S", "S"])], [weight]
    )
    save(folder / "attention.onnx", graph)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="mm"),
        helper.make_node("Foo", ["y"], ["z"], name="foo", domain="com.example"),
    ]
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [value("x", [2, 8])], [output], [weight])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(
        helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "foreign.onnx"
    )
    return folder


@pytest.fixture
def attention(zoo: Path) -> Path:
    return zoo / "attention.onnx"


def analyzed(typed: Typed, *words: str | Path) -> Any:
    ran = typed("analyze", *words, "--json")
    assert ran.code == 0, ran.err
    return ran.document


# ------------------------------------------------------------------------------------- figures


def test_a_real_network_is_exact_to_the_mac_and_the_parameter(typed: Typed) -> None:
    found = analyzed(typed, RESNET, "--nodes")
    assert set(found) >= PROMISED
    assert (found["macs"], found["params"]) == (RESNET_MACS, RESNET_PARAMS)
    assert found["exact"] is True
    assert found["unknown"] == []
    assert all(set(node) >= PROMISED_OF_NODES for node in found["nodes"])
    assert sum(node["macs"] for node in found["nodes"]) == RESNET_MACS
    assert sum(node["params"] for node in found["nodes"]) <= RESNET_PARAMS + found["buffers"]


def test_a_model_of_the_catalogue_is_found_by_its_id(typed: Typed) -> None:
    assert analyzed(typed, "resnet50-light")["macs"] == RESNET_MACS
    assert typed("analyze", "resnet50-ligt").err.endswith("hint: did you mean resnet50-light?\n")


def test_open_dims_give_a_formula_and_bound_ones_a_number(typed: Typed, attention: Path) -> None:
    found = analyzed(typed, attention)
    assert found["macs"] is None
    assert found["formulas"]["macs"] == "16*B*S**2 + 128*B*S"
    assert found["reason"] == "depends on B, S"
    assert found["peak_activation_bytes"] is None
    assert found["peak_activation_reason"]
    for binding in (["--batch", "2", "--dim", "S=10"], ["--shape", "x:2x10x8"]):
        bound = analyzed(typed, attention, *binding)
        assert bound["macs"] == 16 * 2 * 100 + 128 * 2 * 10
        assert bound["peak_activation_bytes"] > 0
        assert bound["per_sample"]["macs"] == bound["macs"] / 2
        assert bound["formulas"] == {}
    assert "16·B·S² + 128·B·S" in typed("analyze", attention).out


def test_the_binding_stands_in_the_document(typed: Typed, attention: Path) -> None:
    found = analyzed(typed, attention, "--batch", "2", "--dim", "S=10", "--convention", "fvcore")
    assert found["binding"] == {"batch": 2, "dims": {"S": 10}, "shapes": {}}
    assert found["convention"] == "fvcore"
    assert found["inputs"] == [{"name": "x", "dtype": "fp32", "shape": [2, 10, 8]}]


def test_an_unknown_operator_is_never_a_plain_number(typed: Typed, zoo: Path) -> None:
    found = analyzed(typed, zoo / "foreign.onnx")
    assert found["exact"] is False
    assert found["macs"] == 2 * 8 * 16
    (unknown,) = found["unknown"]
    assert (unknown["op"], unknown["domain"], unknown["nodes"]) == ("Foo", "com.example", 1)
    assert unknown["reason"]
    text = typed("analyze", zoo / "foreign.onnx").out
    assert re.search(r"^MACs +≥ 256 for batch 2, 128 per sample$", text, re.MULTILINE)
    assert "NOT counted" in text
    assert "com.example::Foo" in text


def test_another_convention_gives_other_macs_and_the_same_flops(typed: Typed) -> None:
    pure, fvcore = (analyzed(typed, RESNET, "--convention", name) for name in ("pure", "fvcore"))
    assert fvcore["macs"] > pure["macs"]
    assert fvcore["flops"] == pure["flops"]
    assert "MACs (fvcore)" in typed("analyze", RESNET, "--convention", "fvcore").out


# --------------------------------------------------------------------------------------- views


@pytest.mark.parametrize("view", [[], ["--nodes"], ["--by", "op"], ["--by", "module"]], ids=str)
@pytest.mark.parametrize("form", [[], ["--csv"], ["--markdown"], ["--json"]], ids=str)
def test_every_view_has_every_format(
    typed: Typed, attention: Path, view: list[str], form: list[str]
) -> None:
    ran = typed("analyze", attention, *view, *form)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert ran.out.endswith("\n")
    if form == ["--csv"]:
        rows = list(csv.reader(io.StringIO(ran.out)))
        assert len(rows) >= 2
        assert len({len(row) for row in rows}) == 1
    elif form == ["--json"]:
        json.loads(ran.out)
    elif not form:
        assert max(map(len, ran.out.splitlines())) <= 80


def test_the_tree_of_modules(typed: Typed, attention: Path) -> None:
    rows = analyzed(typed, attention, "--by", "module", "--batch", "1", "--dim", "S=10")["modules"]
    assert {row["module"]: row["macs"] for row in rows} == {
        "": 2880, "enc": 2880, "enc.0": 1280, "enc.1": 1600, "head": 0
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "md", "json"])
def test_a_file_is_written_whole_and_nothing_else(
    typed: Typed, attention: Path, place: Path, suffix: str
) -> None:
    flag = {"csv": "--csv", "md": "--markdown", "json": "--json"}[suffix]
    file = place / f"out.{suffix}"
    file.write_text("old")
    ran = typed("analyze", attention, "--nodes", "-o", file)
    assert (ran.code, ran.out) == (0, "")
    assert "written" in ran.err
    assert file.read_text() == typed("analyze", attention, "--nodes", flag).out
    assert [each.name for each in place.iterdir() if each.name.startswith(".")] == []


def test_a_file_and_a_document_at_once(typed: Typed, attention: Path, place: Path) -> None:
    ran = typed("analyze", attention, "--json", "-o", "out.csv")
    assert ran.document["formulas"]
    assert (place / "out.csv").read_text().startswith('"path"')


def test_hash_is_that_of_the_file(typed: Typed) -> None:
    sha256 = hashlib.sha256(RESNET.read_bytes()).hexdigest()
    for _ in range(2):  # computed, then remembered
        found = analyzed(typed, RESNET, "--hash")
        assert found["artifact"] == {"sha256": sha256, "bytes": RESNET.stat().st_size}
    assert sha256 in typed("analyze", RESNET, "--hash").out


# -------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "words",
    [
        ["nowhere.onnx"],
        ["no-such-id"],
        ["MODEL", "MODEL"],
        ["MODEL", "--dim", "Q=3"],
        ["MODEL", "--dim", "S"],
        ["MODEL", "--dim", "S=0"],
        ["MODEL", "--shape", "y:1x2x8"],
        ["MODEL", "--shape", "x:1x2"],
        ["MODEL", "--shape", "x"],
        ["MODEL", "--batch", "2", "--shape", "x:1x2x8"],
        ["MODEL", "--batch", "1,2"],
        ["MODEL", "--batch", "0"],
        ["MODEL", "--batch", "many"],
        ["MODEL", "--by", "colour"],
        ["MODEL", "--nodes", "--by", "op"],
        ["MODEL", "--csv", "--markdown"],
        ["MODEL", "--convention", "fvcor"],
        ["MODEL", "--cross-check", "thop"],
        ["MODEL", "--nodes", "--csv", "--cross-check", "onnx-tool"],
        ["MODEL", "-o", "out.txt"],
        ["MODEL", "-o", "no/such/folder/out.csv"],
        ["MODEL", "--models", "nowhere.yaml", "--colour"],
        [],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_said_with_a_hint(
    typed: Typed, attention: Path, words: list[str]
) -> None:
    words = [str(attention) if word == "MODEL" else word for word in words]
    text = typed("analyze", *words)
    assert text.code == 2
    assert text.out == ""
    assert text.err.startswith("error: ")
    assert "hint: " in text.err
    error = typed("analyze", *words, "--json").document["error"]
    assert set(error) == {"kind", "message", "hint"}
    assert error["hint"]


def test_one_shape_for_one_input(typed: Typed, attention: Path) -> None:
    ran = typed("analyze", attention, "--shape", "x:1x2x8", "--shape", "x:1x3x8")
    assert ran.code == 2
    assert "twice" in ran.err


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.as_user], ids=lambda case: case.name
)
@pytest.mark.timeout(60)
def test_every_bad_file_gives_a_named_error_or_a_flagged_result(
    typed: Typed, case: Case, tmp_path: Path
) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    path = case.build(folder)
    ran = typed("analyze", path, "--nodes", "--json")
    found = ran.document
    if case.reason is not None and not (case.reason in OF_INPUTS and ran.code == 0):
        assert ran.code == 2
        assert found["error"]["kind"] == case.reason
        assert found["error"]["hint"]
        return
    assert ran.code in (0, 2)
    if ran.code == 2:
        assert found["error"]["kind"]
        return
    assert set(found) >= PROMISED
    counted = [node["status"] for node in found["nodes"]]
    assert found["exact"] == all(status == "exact" for status in counted)
    shown = typed("analyze", path)
    assert shown.code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", shown.out)


# ------------------------------------------------------------------------------- the real world


def test_it_starts_fast_because_it_imports_little() -> None:
    """What each costs: pydantic 0.1 s, rich 0.03 s, onnx-ir and sympy 0.5 s."""
    found = imported("analyze", RESNET)
    assert "onnxbench.graph.analysis" in found
    heavy = ("pydantic", "rich.console", "yaml", "sympy", "onnx_ir", "onnxruntime", "sqlite3",
             "onnxbench.session", "onnxbench.types")  # fmt: skip
    assert not {name for name in found if name in heavy}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_of_the_stream_will_do(attention: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for words in ([], ["--nodes"], ["--markdown"]):
        done = subprocess.run(
            argv("analyze", attention, *words), capture_output=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        text = done.stdout.decode(encoding)
        if not words and encoding == "ascii":
            assert "16|B|S^2 + 128|B|S" in text


def test_a_reader_that_goes_away_is_no_failure(attention: Path) -> None:
    command = " ".join([sys.executable, "-m", "onnxbench", "analyze", str(attention), "--json"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 1"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_ctrl_c_ends_it_with_130(tmp_path: Path) -> None:
    names = [f"v{i}" for i in range(60_001)]
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in itertools.pairwise(names)]
    graph = helper.make_graph(nodes, "g", [value("v0", ["N", 4])], [value(names[-1], ["N", 4])])
    path = save(tmp_path / "long.onnx", graph)
    process = start("analyze", path)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    ran = end(process)
    assert ran.code == 130
    assert ran.err.endswith("interrupted\n")
    assert ran.out == ""


def test_a_long_wait_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import onnxbench.cli.analyze as a, sys; a.PATIENCE_S = 0.0\n"
        f"sys.argv = ['onnxbench', 'analyze', {str(RESNET)!r}]\n"
        "from onnxbench.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"analyzing .*light_resnet50\.onnx …\n", done.stderr)
    assert "MACs" in done.stdout


def test_models_with_scalar_and_string_inputs(typed: Typed, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["s"], ["t"]), helper.make_node("Neg", ["x"], ["y"])],
        "g",
        [value("s", [1], TensorProto.STRING), value("x", [])],
        [value("t", [1], TensorProto.STRING), value("y", [])],
    )
    found = analyzed(typed, save(tmp_path / "m.onnx", graph))
    assert found["macs"] == 0
    assert found["batch"] is None
    assert found["per_sample_reason"]


def test_onnxbench_runs_as_a_module(attention: Path) -> None:
    ran = onnxbench("analyze", attention)
    assert ran.code == 0
    assert ran.out.startswith("attention.onnx · 4 nodes · opset 17\n")


def test_the_output_in_the_readme_is_what_is_printed() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n\$ onnxbench (analyze [\w-]+)\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    ran = onnxbench(*block[1].split(), env={**os.environ, "COLUMNS": "96"})
    assert ran.out == block[2], "put the new output into README.md"
