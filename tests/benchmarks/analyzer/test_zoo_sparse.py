"""A zoo file keeps every shape, type and small value, and takes no room for weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.analyzer import zoo_sparse

LARGE = np.ones((300, 7), dtype=np.float32)  # 8400 bytes: two pages and a bit
SMALL = np.array([0.5, 0.25], dtype=np.float32)
INDICES = np.arange(2000, dtype=np.int64)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, int]:
    half = LARGE.astype(np.float16)
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["b"], value=numpy_helper.from_array(half, "in_branch"))],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT16, [300, 7])],
    )
    graph = helper.make_graph(
        [
            helper.make_node(
                "Constant", [], ["c"], value=numpy_helper.from_array(LARGE, "in_node")
            ),
            helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch),
        ],
        "graph",
        [helper.make_tensor_value_info("flag", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [300, 7])],
        [
            numpy_helper.from_array(array, name)
            for name, array in (("large", LARGE), ("small", SMALL), ("indices", INDICES))
        ],
    )
    path = tmp_path / "net.onnx"
    length = zoo_sparse.save(helper.make_model(graph), path)
    return path, length


def test_weights_become_aligned_ranges_of_a_file_without_disk_blocks(
    saved: tuple[Path, int],
) -> None:
    path, length = saved
    model = onnx.load(path, load_external_data=False)
    found = {
        tensor.name: (
            list(tensor.dims),
            tensor.data_type,
            {each.key: each.value for each in tensor.external_data},
        )
        for tensor in zoo_sparse._tensors(model)
        if tensor.data_location == TensorProto.EXTERNAL
    }

    def place(offset: int, length: int) -> dict[str, str]:
        return {"location": "net.data", "offset": str(offset), "length": str(length)}

    assert found["large"] == ([300, 7], TensorProto.FLOAT, place(0, 8400))
    assert found["in_node"] == ([300, 7], TensorProto.FLOAT, place(12288, 8400))
    # Both branches hold a copy of their own; the dictionary has the last.
    assert found["in_branch"] == ([300, 7], TensorProto.FLOAT16, place(24576 + 8192, 4200))
    assert length == 24576 + 8192 + 4200
    data = path.with_suffix(".data").stat()
    assert data.st_size == length
    assert data.st_blocks * 512 < length
    assert path.stat().st_size < INDICES.nbytes + 2000


def test_integers_and_small_tensors_keep_their_values(saved: tuple[Path, int]) -> None:
    model = onnx.load(saved[0], load_external_data=False)
    kept = {each.name: each for each in model.graph.initializer}
    assert numpy_helper.to_array(kept["small"]).tolist() == SMALL.tolist()
    assert numpy_helper.to_array(kept["indices"]).tolist() == INDICES.tolist()


def test_a_network_without_large_weights_has_no_data_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    graph = helper.make_graph([], "graph", [], [], [numpy_helper.from_array(SMALL, "small")])
    assert zoo_sparse.save(helper.make_model(graph), path) == 0
    assert not path.with_suffix(".data").exists()
