"""Infers the shapes of every value of a model.

Three sources, each for what the ones before leave open: ONNX's own inference in C++, which takes
seconds for 100,000 nodes and knows no arithmetic on names of dims; onnx-shape-inference, which
does and also knows com.microsoft, node by node; and the function bodies of standard operators.
What the file declares of computed values is believed last, and only where nothing contradicts it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from onnxbench.graph.bodies import body_of
from onnxbench.graph.build import build
from onnxbench.graph.declared import Declared
from onnxbench.graph.engines import Reference
from onnxbench.graph.naming import Names
from onnxbench.graph.prepare import prepare
from onnxbench.graph.profile import Binding
from onnxbench.graph.settle import Settler

if TYPE_CHECKING:
    from onnxbench.graph.network import Graph, Node
    from onnxbench.graph.reader import Stripped


def infer(stripped: Stripped, binding: Binding, *, in_order: bool = False) -> Graph:
    """Return the main graph of a stripped model with the shapes of its values.

    ``in_order``: as `onnxbench.graph.names.check_names` found it; False: not known.
    Raises UsageError if ``binding`` does not fit the model.
    """
    import onnx  # noqa: PLC0415
    from onnx.onnx_cpp2py_export import shape_inference  # noqa: PLC0415

    names = Names(binding)
    model = onnx.ModelProto.FromString(stripped.model)
    in_order = in_order and not model.functions  # their nodes come in between
    prepared = prepare(model, names, binding)
    data = model.SerializeToString()
    del model  # one copy at a time: a network of 100,000 nodes has 100 MB of them
    # It refuses the whole model for a node that is not what its operator takes; the others are
    # found one by one below.
    with suppress(shape_inference.InferenceError, RuntimeError, ValueError):
        # Without its propagation of data: a Range or a chain of Concats could fill all memory.
        data = shape_inference.infer_shapes(data, False, False, False)
    model = onnx.ModelProto.FromString(data)
    del data
    stored, flat = prepared.inlined.stored, prepared.flat
    graph = build(model, prepared.dims, stored, flat=flat, in_order=in_order and flat)
    with np.errstate(all="ignore"):
        declared = Declared(stripped.model, graph, names)
        Settler(names, declared).graph(graph)
    names.check_all_used()
    graph.dim_names = names.originals
    graph.notes += [*prepared.inlined.notes, *names.notes]
    if declared.is_stale:
        graph.notes.append("shapes that the file declares contradict its inputs and are not used")
    return graph


def expand(node: Node) -> Graph | None:
    """Return the body of a standard operator that is a function, at the shapes of ``node``.

    Its inputs are the inputs of ``node`` themselves. None if the operator has no body.
    """
    body = body_of(node, Reference())
    if body is not None:
        with np.errstate(all="ignore"):
            Settler(Names(Binding())).graph(body)
    return body
