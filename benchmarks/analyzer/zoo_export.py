"""One network to one file: build it, export it, leave its weights out, say what is in it."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import numpy_helper

from benchmarks.analyzer import zoo_sparse
from benchmarks.analyzer.zoo_dynamic import build_dynamic_network
from benchmarks.analyzer.zoo_networks import LEGACY, Network, Sample, build_image_network

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import JsonObject

LEGACY_OPSET = 17
# Exact in float32 for the first 16 million tensors, and small enough to keep activations finite.
FILL_STEP = 2.0**-12

Fills = frozenset[tuple[float, int]]
"""What each parameter is filled with, and its elements."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A model whose weights may already be without contents. `parameters`: its initializers that
    are the module's parameters, name to elements."""

    model: onnx.ModelProto
    parameters: dict[str, int]


def export(network: Network, exporter: str, folder: Path) -> JsonObject:
    """Write the network's ``.onnx``, ``.data`` and, last, ``.json`` into `folder`; return what the
    ``.json`` says. Raises whatever building and exporting raise."""
    began = time.perf_counter()
    build = build_dynamic_network if network.name.endswith("-dynamic") else build_image_network
    # The fused kernel of torch's own attention is an operator that no exporter knows.
    torch.backends.mha.set_fastpath_enabled(False)
    sample = build(network)
    sample.module.eval()
    with torch.no_grad():
        fills = _tell_apart(sample.module)
        exported = _legacy(sample) if exporter == LEGACY else _dynamo(sample, fills)
    data_bytes = zoo_sparse.save(exported.model, folder / f"{network.name}.onnx")
    facts = _facts(network, exporter, sample, exported)
    facts["data_bytes"] = data_bytes
    facts["seconds"] = round(time.perf_counter() - began, 2)
    (folder / f"{network.name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def _tell_apart(module: Any) -> Fills:
    """Give every parameter and running statistic a value of its own; return the parameters'.
    Exporters merge initializers with equal contents."""
    tensors = dict(module.named_parameters())
    statistics = {name: each for name, each in module.named_buffers() if "running_" in name}
    fills = set()
    for number, (name, tensor) in enumerate((tensors | statistics).items(), start=1):
        if tensor.is_floating_point():
            tensor.fill_(number * FILL_STEP)
            if name in tensors:
                fills.add((number * FILL_STEP, tensor.numel()))
    return frozenset(fills)


def _legacy(sample: Sample) -> Exported:
    """Export by tracing. Weights come out as graph inputs without contents, become initializers."""
    file = io.BytesIO()
    torch.onnx.export(
        sample.module,
        (),
        file,
        kwargs=sample.inputs,
        input_names=list(sample.inputs),
        output_names=sample.outputs,
        dynamic_axes=sample.dynamic,
        opset_version=LEGACY_OPSET,
        dynamo=False,
        export_params=False,
        # Otherwise batch normalisation disappears into the convolutions before it.
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )
    model = onnx.load_from_string(file.getvalue())
    weights = sample.module.state_dict(keep_vars=True)
    inputs = [each for each in model.graph.input if each.name not in weights]
    used = [each.name for each in model.graph.input if each.name in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for name in used:
        array = weights[name].detach().numpy()
        tensor_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        large = zoo_sparse.is_weight(array.shape, tensor_type)
        make = zoo_sparse.hollow(name, array.shape, tensor_type) if large else None
        model.graph.initializer.append(make or numpy_helper.from_array(array, name))
    parameters = {name: each.numel() for name, each in sample.module.named_parameters()}
    return Exported(model, {name: parameters[name] for name in used if name in parameters})


def _dynamo(sample: Sample, fills: Fills) -> Exported:
    """Export from torch.export's graph. Weights may be renamed, so they are known by contents."""
    shapes = {
        name: {axis: torch.export.Dim(dim) for axis, dim in sample.dynamic.get(name, {}).items()}
        for name in sample.inputs
    }
    program = torch.onnx.export(
        sample.module,
        (),
        kwargs=sample.inputs,
        input_names=list(sample.inputs),
        output_names=sample.outputs,
        dynamic_shapes=shapes if sample.dynamic else None,
        dynamo=True,
        # The optimizer folds batch normalisation.
        optimize=sample.optimize,
        verbose=False,
    )
    parameters = {}
    for name, value in program.model.graph.initializers.items():
        array = value.const_value.numpy()
        if array.size and (float(array.flat[0]), array.size) in fills:
            parameters[name] = array.size
        if zoo_sparse.is_weight(array.shape, value.dtype):
            value.const_value = onnx_ir.ExternalTensor(
                "", 0, array.nbytes, value.dtype, shape=value.shape, name=name
            )
    return Exported(onnx_ir.to_proto(program.model), parameters)


def _facts(network: Network, exporter: str, sample: Sample, exported: Exported) -> JsonObject:
    """Return what the ``.json`` says. All counts are elements: `params` and `buffers` as torch has
    them, shared ones once; `params_in_graph` and `other_floats_in_graph` are initializers."""
    graph = exported.model.graph
    module = sample.module
    parameters = sum(each.numel() for each in module.parameters())
    held = sum(
        int(np.prod(tensor.dims, dtype=np.int64))
        for tensor in graph.initializer
        if tensor.data_type in zoo_sparse.FLOATS
    )
    in_graph = sum(exported.parameters.values())
    return {
        "name": network.name,
        "source": network.source,
        "model": network.model,
        "img_size": network.img_size,
        "exporter": exporter,
        "opset": next(each.version for each in exported.model.opset_import if not each.domain),
        "params": parameters,
        "params_in_graph": in_graph,
        "buffers": sum(each.numel() for each in module.buffers()),
        "other_floats_in_graph": held - in_graph,
        "nodes": len(graph.node),
        "batch_norms": _batch_norms(graph),
        "published": network.published,
        "convention": network.convention,
    }


def _batch_norms(graph: onnx.GraphProto) -> int:
    """Return how many batch normalisations the graph has in their inference form. Networks that
    standardise their weights as they run have others, in the training form."""
    return sum(
        node.op_type == "BatchNormalization"
        and len(node.input) == 5
        and not any(each.name == "training_mode" and each.i for each in node.attribute)
        for node in graph.node
    )
