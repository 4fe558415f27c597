"""Which operators of a TensorFlow Lite graph XNNPACK took, and in which types they compute.

The interpreter lists the operators of the file and, behind them, one DELEGATE per partition with
its inputs and outputs. A partition reads every tensor that it does not make itself, so those that
lie between its outputs and its inputs are exactly its operators.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import mainly

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnxbench.types import PlacementDoc

    Op = Mapping[str, Any]
    Tensors = Mapping[int, Mapping[str, Any]]

XNNPACK, BUILTIN = "LiteRT XNNPACK", "LiteRT builtin"
NO_TIMES = "LiteRT's Python interface tells no times of operators"
_DELEGATE = "DELEGATE"

_BY_CHANNELS = ("CONV_2D", "CONV_3D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
_HEAVY = (*_BY_CHANNELS, "DEPTHWISE_CONV_2D", "BATCH_MATMUL")
_TYPED = ("float", "int8", "uint8", "int16")


def placement(ops: Sequence[Op]) -> list[PlacementDoc]:
    """Return operators of the file per provider, from all that the interpreter lists."""
    own = [op for op in ops if op["op_name"] != _DELEGATE]
    taken = delegated(ops)
    counts = {XNNPACK: Counter[str](), BUILTIN: Counter[str]()}
    for op in own:
        counts[XNNPACK if op["index"] in taken else BUILTIN][op["op_name"]] += 1
    return [
        {
            "provider": provider,
            "nodes": operators.total(),
            "node_share": operators.total() / len(own),
            "time_share": None,
            "time_reason": NO_TIMES,
            "operators": dict(operators),
        }
        for provider, operators in counts.items()
        if operators
    ]


def delegated(ops: Sequence[Op]) -> set[int]:
    """Return the indices of the operators that a delegate runs."""
    maker = {
        tensor: op for op in ops if op["op_name"] != _DELEGATE for tensor in _valid(op["outputs"])
    }
    found: set[int] = set()
    for partition in (op for op in ops if op["op_name"] == _DELEGATE):
        given = set(_valid(partition["inputs"]))
        waiting = list(_valid(partition["outputs"]))
        while waiting:
            tensor = waiting.pop()
            op = maker.get(tensor)
            if tensor in given or op is None or op["index"] in found:
                continue
            found.add(op["index"])
            waiting.extend(_valid(op["inputs"]))
    return found


def precision(ops: Sequence[Op], tensors: Tensors) -> str | None:
    """Return the type of most of the multiplications, or without any that of most operators.

    The file's own types: XNNPACK computes in them unless it is told otherwise. Weights that are
    narrower than what they are multiplied with are named as storage.
    """
    spent = Counter[tuple[str, bool]]()
    for op in ops:
        types = [str(tensors[i]["dtype"].__name__) for i in _valid(op["inputs"]) if i in tensors]
        types = [name for name in types if name.startswith(_TYPED)]
        if op["op_name"] == _DELEGATE or not types:
            continue
        heavy = op["op_name"] in _HEAVY
        wide, weights = types[0], types[1] if heavy and len(types) > 1 else types[0]
        name = wide if weights == wide else f"{wide} ({weights} storage)"
        spent[name, heavy] += _multiplications(op, tensors) if heavy else 1
    return mainly(spent)


def _multiplications(op: Op, tensors: Tensors) -> int:
    left, right = (_shape(tensors, i) for i in list(op["inputs"])[:2])
    if op["op_name"] == "TRANSPOSE_CONV":  # its first input is the shape of the output
        left = _shape(tensors, op["inputs"][2])
        return _size(left) * _size(right) // max(1, left[-1])
    made = _size(_shape(tensors, op["outputs"][0]))
    if op["op_name"] == "BATCH_MATMUL":
        return made * left[-1]
    return made * _size(right) // max(1, right[0] if op["op_name"] in _BY_CHANNELS else right[-1])


def _shape(tensors: Tensors, index: int) -> list[int]:
    return [int(size) for size in tensors[index]["shape"]]


def _size(shape: Iterable[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _valid(indices: Iterable[int]) -> list[int]:
    """Return tensor indices without the -1 of inputs that are left out."""
    return [int(index) for index in indices if index >= 0]
