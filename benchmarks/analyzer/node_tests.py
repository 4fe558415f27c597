"""How many shapes three engines find on ONNX's own node tests.

``python -m benchmarks.analyzer.node_tests`` prints it; `figures/node_tests.py` publishes it.

Every test of `onnx.backend.test` whose outputs are all tensors is stripped of what it declares:
shapes of outputs and value_info go, integer inputs of at most `SMALL` elements become constants
(axes, sizes and counts are constants in real networks). Truth is the shapes of the arrays that the
test itself holds as its outputs. A test is

- exact, if every dim of every output is found and right,
- unknown, if an engine finds less and nothing that is wrong,
- wrong, if it claims a rank or a dim that is not so,
- raised, if the engine ends in an exception.

With ``--symbolic`` every dim of the remaining inputs is open first and bound to the test's own
sizes afterwards, so that formulas are checked as numbers are.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxbench.graph.dims import Expr
from onnxbench.graph.formulas import evaluate
from onnxbench.graph.profile import Binding
from onnxbench.graph.reader import Stripped
from onnxbench.graph.shapes import infer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Shape = tuple[int | None, ...] | None
    Engine = Callable[["Case"], list[Shape]]

SMALL = 64
"""Elements of an integer input that is given as a constant."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test: ``sizes`` are the values of the dims that were opened, none otherwise."""

    name: str
    model: onnx.ModelProto
    truth: list[tuple[int, ...]]
    sizes: dict[str, int]


def measure(*, symbolic: bool = False, most: int | None = None) -> dict[str, dict[str, list[str]]]:
    """Return names of tests by engine and verdict, of the first ``most`` tests."""
    found: dict[str, dict[str, list[str]]] = {
        engine: {verdict: [] for verdict in VERDICTS} for engine in ENGINES
    }
    for case in islice(cases(symbolic=symbolic), most):
        for name, engine in ENGINES.items():
            found[name][verdict(engine, case)].append(case.name)
    return found


VERDICTS = ("exact", "unknown", "wrong", "raised")


def cases(*, symbolic: bool = False) -> Iterator[Case]:
    """Yield the usable tests."""
    from onnx.backend.test.loader import load_node_model_tests  # noqa: PLC0415 - takes seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tests' own arithmetic
        tests = load_node_model_tests()
    for test in tests:
        assert test.model is not None
        assert test.model is not None
        outputs = test.model.graph.output
        if all(value.type.WhichOneof("value") == "tensor_type" for value in outputs):
            yield _case(test, symbolic=symbolic)


def _case(test: Any, *, symbolic: bool) -> Case:
    ((given, expected),) = test.data_sets
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    graph = model.graph
    del graph.value_info[:]
    sizes: dict[str, int] = {}
    for value, each in zip(list(graph.input), given, strict=True):
        array = np.asarray(each) if isinstance(each, np.generic) else each
        if isinstance(array, np.ndarray) and array.dtype.kind in "iu" and array.size <= SMALL:
            graph.initializer.append(numpy_helper.from_array(array, value.name))
            graph.input.remove(value)
        elif symbolic and isinstance(array, np.ndarray):
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                dim.dim_param = f"d{len(sizes)}"
                sizes[dim.dim_param] = array.shape[axis]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    return Case(test.name, model, [_true_shape(array) for array in expected], sizes)


def _true_shape(array: Any) -> tuple[int, ...]:
    """Return the shape of an expected output; types that numpy lacks come as TensorProto."""
    return tuple(array.dims) if isinstance(array, onnx.TensorProto) else np.shape(array)


def verdict(engine: Engine, case: Case) -> str:
    """Return what ``engine`` makes of ``case``."""
    try:
        found = engine(case)
    except Exception:  # noqa: BLE001 - whatever an engine ends in is its verdict
        return "raised"
    complete = True
    for shape, true in zip(found, case.truth, strict=True):
        if shape is None:
            complete = False
        elif len(shape) != len(true):
            return "wrong"
        else:
            for dim, size in zip(shape, true, strict=True):
                if dim is not None and dim != size:
                    return "wrong"
                complete = complete and dim is not None
    return "exact" if complete else "unknown"


def ours(case: Case) -> list[Shape]:
    """Return the shapes of the outputs as onnxbench finds them."""
    graph = infer(Stripped(case.model.SerializeToString(), {}), Binding())
    return [_bound(output.shape, case.sizes) for output in graph.outputs]


def _bound(shape: Any, sizes: dict[str, int]) -> Shape:
    if shape is None:
        return None
    dims = [None if dim is None else evaluate(dim, sizes) for dim in shape]
    return tuple(None if isinstance(dim, Expr) else dim for dim in dims)


def _cpp(case: Case) -> list[Shape]:
    model = onnx.shape_inference.infer_shapes(case.model, data_prop=True)
    return [_declared(value.type, case.sizes) for value in model.graph.output]


def _declared(of: onnx.TypeProto, sizes: dict[str, int]) -> Shape:
    if not of.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else sizes.get(dim.dim_param)
        for dim in of.tensor_type.shape.dim
    )


def _onnx_shape_inference(case: Case) -> list[Shape]:
    import onnx_ir  # noqa: PLC0415 - takes half a second
    from onnx_shape_inference import infer_symbolic_shapes  # noqa: PLC0415

    from onnxbench.graph.formulas import parse  # noqa: PLC0415

    model = infer_symbolic_shapes(onnx_ir.from_proto(case.model), warn_on_missing=False)
    shapes = [None if value.shape is None else value.shape.dims for value in model.graph.outputs]
    return [
        _bound(shape and [parse(str(dim)) if str(dim) else None for dim in shape], case.sizes)
        for shape in shapes
    ]


ENGINES: dict[str, Engine] = {
    "onnxbench": ours,
    "onnx C++": _cpp,
    "onnx-shape-inference": _onnx_shape_inference,
}


def main() -> None:
    """Print the table, and the tests behind it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbolic", action="store_true", help="open every dim, bind it later")
    parser.add_argument("--verbose", action="store_true", help="list tests that are not exact")
    asked = parser.parse_args()
    found = measure(symbolic=asked.symbolic)
    for engine, verdicts in found.items():
        counts = Counter({verdict: len(names) for verdict, names in verdicts.items()})
        figures = "  ".join(f"{verdict} {counts[verdict]:>5,}" for verdict in VERDICTS)
        print(f"{engine:22}{figures}  = {counts['exact'] / counts.total():.1%} exact")
        if asked.verbose:
            for verdict in VERDICTS[1:]:
                print(f"  {verdict}: {' '.join(verdicts[verdict])}")


if __name__ == "__main__":
    main()
