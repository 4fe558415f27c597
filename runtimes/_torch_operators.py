"""What onnx2torch 1.5.15, of 2024, lacks for what exporters write today.

Most of it are later versions of operators that it has. Where a node uses nothing that the version
it knows did not have, the older converter serves. What is new besides is converted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxbench.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
_STANDARD = ("", "ai.onnx")


def prepare(onnx: Any, registry: Any, model: Any) -> None:
    """Register what the nodes of ``model`` need beyond what is there.

    Changes ``model``: attributes with the value that they have anyway are left out. Raises
    Unsupported that names operators and their versions.
    """
    versions = {opset.domain: opset.version for opset in model.opset_import}
    lacking: dict[str, None] = {}
    for node in model.graph.node:
        _without_defaults(onnx, node, versions)
        if not _has(registry, node, versions) and not _add(onnx, registry, node, versions):
            lacking[
                f"{node.domain or 'ai.onnx'}::{node.op_type}-{_since(onnx, node, versions)}"
            ] = None
    if lacking:
        raise Unsupported(
            f"onnx2torch has no {', '.join(lacking)}",
            "another runtime may have it, or export with an older --opset",
        )


def _has(registry: Any, node: Any, versions: dict[str, int]) -> bool:
    try:
        registry.get_converter(node.op_type, versions[node.domain], node.domain)
    except NotImplementedError:
        return False
    return True


def _add(onnx: Any, registry: Any, node: Any, versions: dict[str, int]) -> bool:
    """Register a converter for the version of ``node``; tell whether there is one."""
    if node.domain not in _STANDARD:
        return False
    version = _since(onnx, node, versions)
    converter = _own(node) or _older(onnx, registry, node, version)
    if converter is not None:
        registry.add_converter(node.op_type, version)(converter)
    return converter is not None


def _since(onnx: Any, node: Any, versions: dict[str, int]) -> int:
    opset = versions[node.domain]
    try:
        version: int = onnx.defs.get_schema(node.op_type, opset, node.domain).since_version
    except onnx.defs.SchemaError:
        return opset
    return version


def _older(onnx: Any, registry: Any, node: Any, version: int) -> Any:
    """Return the converter of the last version before that has all that ``node`` uses."""
    while version > 1:
        try:
            schema = onnx.defs.get_schema(node.op_type, version - 1, node.domain)
        except onnx.defs.SchemaError:
            return None
        version = schema.since_version
        if not _fits(schema, node):
            return None
        try:
            return registry.get_converter(node.op_type, version)
        except NotImplementedError:
            continue
    return None


def _fits(schema: Any, node: Any) -> bool:
    names = {attribute.name for attribute in node.attribute}
    # Before version 18 the number of parts was that of the outputs, which it still has to be.
    names -= {"num_outputs"}
    return names <= set(schema.attributes) and len(node.input) <= schema.max_input


def _without_defaults(onnx: Any, node: Any, versions: dict[str, int]) -> None:
    try:
        schema = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain)
    except (onnx.defs.SchemaError, KeyError):
        return
    known = {name: each.default_value for name, each in schema.attributes.items()}
    read = onnx.helper.get_attribute_value
    for attribute in list(node.attribute):
        default = known.get(attribute.name)
        if default is None or not default.type:
            continue
        # Where a size is 0 the tensor is empty: for any other, allowzero says nothing.
        if attribute.name == "allowzero" or read(attribute) == read(default):
            node.attribute.remove(attribute)


def _own(node: Any) -> Callable[[Any, Any], Any] | None:
    if node.op_type.removeprefix("Reduce") in _REDUCTIONS:
        return _reduction
    return {"Gelu": _gelu, "CastLike": _cast_like}.get(node.op_type)


def _reduction(node: Any, graph: Any) -> Any:
    """Convert ReduceMean-18 and the like, whose axes are an input and have to be constant."""
    from onnx2torch.node_converters.reduce import OnnxReduceStaticAxes  # noqa: PLC0415
    from onnx2torch.utils import common  # noqa: PLC0415

    given = [name for name in node.input_values[1:] if name]
    try:
        axes = [int(axis) for name in given for axis in common.get_const_value(name, graph)]
    except KeyError as error:
        raise NotImplementedError(f"{node.operation_type} with computed axes") from error
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        raise NotImplementedError(f"{node.operation_type} over no axes")
    module = OnnxReduceStaticAxes(
        node.operation_type, axes or None, node.attributes.get("keepdims", 1)
    )
    return _result(module, node, node.input_values[:1])


def _gelu(node: Any, _graph: Any) -> Any:
    import torch  # noqa: PLC0415

    module = torch.nn.GELU(node.attributes.get("approximate", "none"))
    return _result(module, node, node.input_values)


def _cast_like(node: Any, _graph: Any) -> Any:
    import torch  # noqa: PLC0415

    class CastLike(torch.nn.Module):  # type: ignore[misc]
        def forward(self, value: Any, like: Any) -> Any:
            return value.to(like.dtype)

    return _result(CastLike(), node, node.input_values)


def _result(module: Any, node: Any, inputs: Iterable[str]) -> Any:
    from onnx2torch.utils import common  # noqa: PLC0415

    mapping = common.OnnxMapping(inputs=tuple(inputs), outputs=node.output_values)
    return common.OperationConverterResult(torch_module=module, onnx_mapping=mapping)
