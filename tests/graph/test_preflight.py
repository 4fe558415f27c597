"""Good models are accepted, described and hashed as documented."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbench.errors import RefusedInput
from onnxbench.graph.artifact import artifact_document, artifact_from
from onnxbench.graph.files import sha256_of
from onnxbench.graph.indices import index_limits
from onnxbench.graph.preflight import preflight
from onnxbench.types import TensorSpec
from tests.corpus.case import model_of, relu, value
from tests.corpus.external import adding, tensor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.graph.conftest import RunChild

INT64 = TensorProto.INT64


def _save(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def _table(rows: int, name: str = "table", columns: int = 2) -> TensorProto:
    return numpy_helper.from_array(np.zeros((rows, columns), dtype=np.float32), name)


def test_light_models_are_accepted(light_model: Path) -> None:
    """The facts agree with onnx, the hash with sha256sum."""
    artifact = preflight(light_model)
    model = onnx.load(light_model)
    printed = subprocess.run(["sha256sum", light_model], capture_output=True, text=True, check=True)
    assert artifact.sha256 == printed.stdout.split()[0]
    assert artifact.node_count == len(model.graph.node) == sum(artifact.operators.values())
    assert artifact.operators["ai.onnx::Conv"] == sum(n.op_type == "Conv" for n in model.graph.node)
    assert artifact.opset == {"": 9}
    assert [(spec.dtype, spec.shape) for spec in artifact.inputs] == [("float", (1, 3, 224, 224))]
    assert artifact.path == str(light_model)
    assert artifact.bytes == light_model.stat().st_size


def test_document_survives_json(tmp_path: Path) -> None:
    """An artifact is equal on both sides of the process boundary."""
    rows = model_of(
        [helper.make_node("Gather", ["table", "rows"], ["y"])],
        [value("rows", ["n", None, 3], INT64), value("other", None)],
        [value("y", None)],
        [_table(7)],
    )
    artifact = preflight(_save(rows, tmp_path))
    assert artifact_from(json.loads(json.dumps(artifact_document(artifact)))) == artifact
    assert artifact.inputs == (
        TensorSpec("rows", "int64", ("n", None, 3), 7),
        TensorSpec("other", "float", None),
    )


def test_initializers_are_no_inputs(tmp_path: Path) -> None:
    """Before IR 4 every initializer was listed as an input too."""
    model = model_of(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        [value("x", []), value("w")],
        constants=[numpy_helper.from_array(np.zeros(2, dtype=np.float32), "w")],
    )
    artifact = preflight(_save(model, tmp_path))
    assert [(spec.name, spec.shape) for spec in artifact.inputs] == [("x", ())]
    assert artifact.initializer_bytes == 8


def test_counts_subgraphs_and_functions(tmp_path: Path) -> None:
    """Operators are counted wherever nodes are; other domains are said out loud."""
    branch = helper.make_graph(
        [helper.make_node("F", ["x"], ["b"], domain="local")], "b", [], [value("b")]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = model_of([node], [value("x"), value("c", [], TensorProto.BOOL)], domains=["local"])
    body = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Relu", ["t"], ["b"])]
    model.functions.append(
        helper.make_function("local", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    )
    artifact = preflight(_save(model, tmp_path))
    assert artifact.operators == {"ai.onnx::If": 1, "local::F": 2, "ai.onnx::Relu": 2}
    assert artifact.node_count == 5
    assert artifact.opset == {"": 17, "local": 1}
    assert any("local" in note for note in artifact.notes)


def test_unsorted_nodes_are_accepted(tmp_path: Path) -> None:
    """Runtimes sort them."""
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Relu", ["x"], ["a"])]
    assert preflight(_save(model_of(nodes), tmp_path)).node_count == 2


def _external(folder: Path, location: str, data: bytes = b"0123456789abcdef") -> Path:
    path = folder / location
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return _save(adding(tensor(location=location, offset=0, length=16)), folder)


def test_external_data_is_hashed_as_documented(tmp_path: Path) -> None:
    """SHA-256 over "sha256 size name NUL" of each file, the model first and nameless."""
    model = _external(tmp_path, "weights/./w.bin")
    artifact = preflight(model)
    entries = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {name}\0"
        for path, name in ((model, ""), (tmp_path / "weights/w.bin", "weights/w.bin"))
    ]
    assert artifact.sha256 == hashlib.sha256("".join(entries).encode()).hexdigest()
    assert [file.role for file in artifact.files] == ["model", "external"]
    assert artifact.bytes == model.stat().st_size + 16
    assert artifact.initializer_bytes == 16
    renamed = model.rename(tmp_path / "renamed.onnx")
    assert preflight(renamed).sha256 == artifact.sha256


def test_external_bytes_change_the_hash(tmp_path: Path) -> None:
    """One byte of the weights is enough."""
    first = preflight(_external(tmp_path, "w.bin"))
    second = preflight(_external(tmp_path, "w.bin", b"0123456789abcdeF"))
    assert first.sha256 != second.sha256
    assert first.files[0].bytes == second.files[0].bytes


def test_linked_model_is_followed(tmp_path: Path) -> None:
    """The user named the link; only what a model names may be none."""
    model = _save(relu(), tmp_path)
    link = tmp_path / "link.onnx"
    link.symlink_to(model)
    assert preflight(link).sha256 == preflight(model).sha256


def test_a_change_while_reading_is_refused(tmp_path: Path) -> None:
    """The hash belongs to the bytes that were checked, or there is none."""
    path = _save(relu(), tmp_path)
    fd = os.open(path, os.O_RDONLY)
    before = os.fstat(fd)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(RefusedInput) as caught:
        sha256_of(fd, before)
    os.close(fd)
    assert caught.value.reason == "changed-while-read"


def _limit(*nodes: onnx.NodeProto, constants: list[TensorProto], dtype: int = INT64) -> int | None:
    model = model_of(nodes, [value("ids", ["n"], dtype)], [value("y", None)], constants)
    return index_limits(model.graph).get("ids")


def test_index_limit_is_that_of_the_smallest_table() -> None:
    """A shared input must be valid for all of its consumers."""
    nodes = [helper.make_node("Gather", [name, "ids"], [f"y{name}"]) for name in ("a", "b")]
    assert _limit(*nodes, constants=[_table(100, "a"), _table(7, "b")]) == 7


def test_index_limit_uses_the_axis() -> None:
    """Negative axes count from the end."""
    node = helper.make_node("Gather", ["table", "ids"], ["y"], axis=-1)
    assert _limit(node, constants=[_table(100, columns=3)]) == 3


def test_index_limit_goes_through_reshaping() -> None:
    """Exporters cast and reshape token ids before they look them up."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["c"], to=INT64),
        helper.make_node("Unsqueeze", ["c", "axes"], ["u"]),
        helper.make_node("Constant", [], ["table"], value=_table(9)),
        helper.make_node("Gather", ["table", "u"], ["y"]),
    ]
    assert _limit(*nodes, constants=[], dtype=TensorProto.INT32) == 9


def test_index_limit_of_quantized_table() -> None:
    """Dequantizing a table does not change its rows."""
    nodes = [
        helper.make_node("DequantizeLinear", ["table", "scale"], ["d"]),
        helper.make_node("Gather", ["d", "ids"], ["y"]),
    ]
    assert _limit(*nodes, constants=[_table(11)]) == 11


def test_no_index_limit_without_lookup() -> None:
    """Arithmetic on ids is no lookup."""
    node = helper.make_node("Gather", ["ids", "table"], ["y"])
    assert _limit(node, constants=[_table(11)]) is None


_GIGABYTES = """
import resource, sys
from pathlib import Path
import onnx
from onnxbench.graph.preflight import preflight
def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak_kib()
artifact = preflight(Path(sys.argv[1]))
grown = (peak_kib() - before) * 1024
print(grown, artifact.bytes, artifact.initializer_bytes, "onnxruntime" in sys.modules)
"""


@pytest.mark.slow
def test_more_than_two_gigabytes_of_external_data(tmp_path: Path, run_child: RunChild) -> None:
    """Accepted, hashed, and memory grows by less than 50 MB."""
    weight_bytes = (1 << 31) + 4096
    far = tensor(location="w.bin", offset=0, length=weight_bytes)
    far.dims[:] = [weight_bytes // 4]
    model = _save(adding(far), tmp_path)
    (tmp_path / "w.bin").touch()
    os.truncate(tmp_path / "w.bin", weight_bytes)  # sparse: it takes no room on the disk
    grown, total, weights, runtime = run_child(_GIGABYTES, model).split()
    assert int(grown) < 50_000_000
    assert int(total) == model.stat().st_size + weight_bytes
    assert int(weights) == weight_bytes
    assert runtime == "False"
