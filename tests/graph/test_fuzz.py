"""Damaged models are refused with a name; nothing else ever comes out of pre-flight."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnxbench.errors import RefusedInput
from onnxbench.graph.artifact import artifact_document
from onnxbench.graph.preflight import preflight
from onnxbench.types import Artifact, canonical_json
from tests.corpus.case import model_of, value
from tests.corpus.external import tensor

if TYPE_CHECKING:
    from pathlib import Path


def _seed_model() -> bytes:
    """A model with a bit of everything, and a payload that is dropped."""
    branch = helper.make_graph(
        [helper.make_node("F", ["x"], ["b"], domain="local")], "branch", [], [value("b")]
    )
    nodes = [
        helper.make_node("If", ["c"], ["t"], name="choice", then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["t", "near"], ["u"]),
        helper.make_node("Gather", ["table", "ids"], ["y"], axis=0),
        helper.make_node("Add", ["u", "far"], ["z"]),
    ]
    far = tensor(location="w.bin", offset=0, length=16)
    far.name = "far"
    table = numpy_helper.from_array(np.zeros((400, 2), dtype=np.float32), "table")
    near = helper.make_tensor("near", TensorProto.FLOAT, [2], [1.0, 2.0])
    model = model_of(
        nodes,
        [value("x", ["n"]), value("c", [], TensorProto.BOOL), value("ids", [3], TensorProto.INT64)],
        [value("y", None), value("z", None)],
        [far, table, near],
        domains=["local"],
    )
    sparse = helper.make_sparse_tensor(
        near, helper.make_tensor("i", TensorProto.INT64, [2], [0, 1]), [4]
    )
    model.graph.sparse_initializer.append(sparse)
    model.graph.initializer.pop()
    body = [helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(
        helper.make_function("local", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    )
    return model.SerializeToString()


SEED = _seed_model()
_GRAPH_ONLY = [at for at in range(len(SEED)) if SEED[at] or at < 2000]

edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "copy"]),
        st.sampled_from(_GRAPH_ONLY),
        st.integers(0, 255),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=6,
)


def _edited(data: bytes, edit: tuple[str, int, int, int]) -> bytes:
    kind, at, byte, length = edit
    if kind == "flip":
        return (
            data[:at] + bytes([data[at] ^ 1 << byte % 8]) + data[at + 1 :]
            if at < len(data)
            else data
        )
    if kind == "set":
        return data[:at] + bytes([byte]) + data[at + 1 :]
    if kind == "insert":
        return data[:at] + random.Random(byte).randbytes(length) + data[at:]
    if kind == "delete":
        return data[:at] + data[at + length :]
    return data[:at] + data[byte : byte + length] + data[at:]


def _outcome(data: bytes, folder: Path) -> Artifact | str:
    path = folder / "model.onnx"
    path.unlink(missing_ok=True)  # many times faster than truncating it
    path.write_bytes(data)
    if not (folder / "w.bin").exists():
        (folder / "w.bin").write_bytes(bytes(16))
    try:
        return preflight(path)
    except RefusedInput as error:
        refusal = error
    assert len(refusal.message) < 1000
    return refusal.reason


def test_the_seed_is_good(tmp_path: Path) -> None:
    """Otherwise the fuzzing below would look at nothing."""
    artifact = _outcome(SEED, tmp_path)
    assert isinstance(artifact, Artifact)
    assert {spec.name: spec.index_limit for spec in artifact.inputs} == {
        "x": None,
        "c": None,
        "ids": 400,
    }


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits)
def test_damage_is_named(tmp_path: Path, damage: list[tuple[str, int, int, int]]) -> None:
    """Whatever bytes change: an artifact that can be sent, or a RefusedInput."""
    data = SEED
    for edit in damage:
        data = _edited(data, edit)
    outcome = _outcome(data, tmp_path)
    if isinstance(outcome, Artifact):
        canonical_json(artifact_document(outcome))


def test_every_byte_may_be_wrong(tmp_path: Path) -> None:
    """Each byte of the structure once, set to a value that continues every varint."""
    named = {
        outcome
        for at in _GRAPH_ONLY
        for outcome in [_outcome(SEED[:at] + b"\xff" + SEED[at + 1 :], tmp_path)]
        if isinstance(outcome, str)
    }
    assert {"malformed", "truncated"} <= named
