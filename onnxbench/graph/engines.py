"""The two shape engines, asked about one node at a time.

Each gets the node with what is known of its inputs, and says what it finds out about the outputs.
Neither may spoil the rest of a network: whatever an engine raises means that it does not know.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import onnx
from onnx import TypeProto, defs, numpy_helper

from onnxbench.graph.dims import Expr, TooComplex
from onnxbench.graph.formulas import evaluate, parse, symbols
from onnxbench.graph.unsafe import is_fatal

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.network import Node, Tensor

    Shape = tuple[Dim | str | None, ...]

_UNKNOWN = "__unknown_"
_ALIAS = "__alias_"


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one output; ``type`` only of values that are no tensors.

    A dim is None if it is not known; a text says that it equals the other dims of the node with
    this text.
    """

    dtype: int = 0
    shape: Shape | None = None
    type: TypeProto | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to find out."""
        if self.type is not None:
            return True
        if not self.dtype or self.shape is None:
            return False
        return not any(dim is None or isinstance(dim, str) for dim in self.shape)

    def agrees_with(self, tensor: Tensor) -> bool:
        """Whether this is all there is to know of a tensor, and what was known says no other."""
        if self.type is not None or self.shape is None or not self.complete:
            return False
        known = tensor.shape
        if known is None or known == self.shape:
            return True
        return len(known) == len(self.shape) and all(
            old is None or old == new for old, new in zip(known, self.shape, strict=True)
        )


NOTHING = Found()


class Reference:
    """ONNX's own inference in C++: every standard operator, no arithmetic on open dims."""

    def __init__(self) -> None:
        self._types: dict[Hashable, bytes] = {}
        self._texts: dict[str, Dim] = {}
        self._data: dict[Tensor, bytes] = {}

    def infer(self, node: Node) -> list[Found] | None:
        """Return what is known of the outputs of ``node``, None if nothing is."""
        schema = schema_of(node)
        if schema is None or not schema.has_type_and_shape_inference_function:
            return None
        if is_fatal(node.proto):
            return None
        types: dict[str, bytes] = {}
        data: dict[str, bytes] = {}
        for name, tensor in zip(node.proto.input, node.inputs, strict=True):
            if tensor is None:
                if name:
                    return None
                continue
            types[name] = self.type_bytes(tensor)
            known = self._data_of(tensor)
            if known is not None:
                data[name] = known
        try:
            found = schema._infer_node_outputs(  # noqa: SLF001 - onnx's own wrapper parses twice
                node.proto.SerializeToString(), types, data, {}, {node.domain: node.opset},
                onnx.IR_VERSION,
            )  # fmt: skip
        except Exception:  # noqa: BLE001 - it raises more than its own errors on damaged graphs
            return None
        return [
            self._found(found[name]) if name in found else NOTHING for name in node.proto.output
        ]

    def type_bytes(self, tensor: Tensor) -> bytes:
        """Return the type of ``tensor`` as a serialized TypeProto."""
        if tensor.type is not None:
            return tensor.type.SerializeToString()
        key = (tensor.dtype, tensor.shape)
        found = self._types.get(key)
        if found is None:
            for dim in tensor.shape or ():
                if isinstance(dim, Expr):
                    self._texts[str(dim)] = dim
            found = self._types[key] = type_of(tensor.dtype, tensor.shape).SerializeToString()
        return found

    def _data_of(self, tensor: Tensor) -> bytes | None:
        if tensor.value is None:
            return None
        found = self._data.get(tensor)
        if found is None:
            try:
                found = numpy_helper.from_array(tensor.value).SerializeToString()
            except (ValueError, TypeError, NotImplementedError):
                return None
            self._data[tensor] = found
        return found

    def _found(self, data: bytes) -> Found:
        of = TypeProto.FromString(data)
        if of.WhichOneof("value") != "tensor_type":
            return Found(type=of) if of.WhichOneof("value") else NOTHING
        tensor = of.tensor_type
        if not tensor.HasField("shape"):
            return Found(tensor.elem_type)
        return Found(tensor.elem_type, tuple(self._dim(dim) for dim in tensor.shape.dim))

    def _dim(self, dim: Any) -> Dim | None:
        if dim.HasField("dim_value"):
            return int(dim.dim_value) if dim.dim_value >= 0 else None
        return self._texts.get(dim.dim_param)


class Symbolic:
    """onnx-shape-inference: arithmetic on open dims, and operators of com.microsoft.

    Its import takes half a second for sympy, so it waits for the first node that needs it.
    """

    def infer(self, node: Node) -> list[Found] | None:
        """Return what is known of the outputs of ``node``, None if nothing is."""
        if node.domain not in {"", "com.microsoft"} and not node.domain.startswith("ai.onnx"):
            return None
        import onnx_ir as ir  # noqa: PLC0415
        from onnx_shape_inference import ShapeInferenceContext, registry  # noqa: PLC0415

        registry.collect()
        rule = registry.get(node.domain, node.op, version=node.opset)
        if rule is None or node.graphs:
            return None
        context = ShapeInferenceContext({node.domain: node.opset}, policy="override")
        aliases: dict[str, Expr] = {}
        names: set[str] = set()
        try:
            with _quiet():
                inputs = [self._value(ir, tensor, aliases, names) for tensor in node.inputs]
                context.reserve_symbol_names(names)
                for value, tensor in zip(inputs, node.inputs, strict=True):
                    known = _listed(tensor, aliases, names)
                    if value is not None and known is not None:
                        sizes = [each if isinstance(each, int) else ir.SymbolicDim(each)
                                 for each in known]  # fmt: skip
                        context.set_symbolic_value(value, sizes)
                asked = ir.Node(
                    node.domain, node.op, inputs,
                    [ir.from_proto(each) for each in node.proto.attribute],
                    num_outputs=len(node.outputs), version=node.opset,
                )  # fmt: skip
                rule(context, asked)
            return [
                self._found(output, aliases, names) if wanted is not None else NOTHING
                for output, wanted in zip(asked.outputs, node.outputs, strict=True)
            ]
        except Exception:  # noqa: BLE001 - a young library, given what strangers wrote
            return None

    def _value(
        self, ir: Any, tensor: Tensor | None, aliases: dict[str, Expr], names: set[str]
    ) -> Any:
        if tensor is None:
            return None
        shape = None
        if tensor.shape is not None:
            dims: list[Any] = []
            for dim in tensor.shape:
                text = dim if dim is None or isinstance(dim, int) else _text(dim, aliases, names)
                # An unknown dim needs a name of its own, or two of them would be equal.
                dims.append(f"{_UNKNOWN}{len(names)}" if text is None else text)
                names.add(str(dims[-1]))
            shape = ir.Shape(dims)
        of = ir.TensorType(ir.DataType(tensor.dtype)) if tensor.dtype else None
        constant = None
        if tensor.value is not None:
            constant = ir.tensor(tensor.value, dtype=ir.DataType(tensor.dtype))
        return ir.Value(name=tensor.name, shape=shape, type=of, const_value=constant)

    def _found(self, value: Any, aliases: Mapping[str, Expr], names: set[str]) -> Found:
        of = value.type
        if of is not None and not hasattr(of, "dtype"):
            return NOTHING
        dtype = int(value.dtype) if value.dtype is not None else 0
        if value.shape is None:
            return Found(dtype)
        own = {name for name in names if not name.startswith(_UNKNOWN)} | set(aliases)
        return Found(dtype, tuple(_dim(dim, aliases, own) for dim in value.shape.dims))


def _text(dim: Expr, aliases: dict[str, Expr], names: set[str]) -> str:
    """Return ``dim`` in the engine's notation, which has no ceil: such dims get another name."""
    text = str(dim)
    if "ceil(" in text or "mod(" in text:
        alias = f"{_ALIAS}{len(aliases)}"
        aliases[alias] = dim
        return alias
    names.update(symbols(dim))
    return text


def _listed(
    tensor: Tensor | None, aliases: dict[str, Expr], names: set[str]
) -> list[int | str] | None:
    """Return the elements of a list of sizes, some of which are formulas; None of others."""
    if tensor is None or tensor.formulas is None or tensor.formulas.ndim > 1:
        return None
    found: list[int | str] = []
    for each in tensor.formulas.reshape(-1):
        if isinstance(each, Expr):
            found.append(_text(each, aliases, names))
        elif isinstance(each, int):
            found.append(int(each))
        elif each is None:
            found.append(f"{_UNKNOWN}{len(names)}")
            names.add(str(found[-1]))
        else:
            return None
    return found


def _dim(dim: Any, aliases: Mapping[str, Expr], own: set[str]) -> Dim | str | None:
    """Return a dim that the engine found, a text if it is one of its inventions."""
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    if dim.value is None:
        return None
    try:
        found = parse(str(dim.value))
        if not symbols(found) <= own:
            return str(dim.value)
        return evaluate(found, aliases) if aliases else found
    except (ValueError, TooComplex, ZeroDivisionError):
        return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the engine and its reader log about strangers' models away from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def schema_of(node: Node) -> Any:
    """Return the schema of the operator in the version that the model imports, None without."""
    return _schema(node.op, node.opset, node.domain)


@lru_cache(maxsize=4096)
def _schema(op: str, version: int, domain: str) -> Any:
    try:
        return defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None


def type_of(dtype: int, shape: tuple[Dim | None, ...] | None) -> TypeProto:
    """Return the type of a tensor."""
    of = TypeProto()
    of.tensor_type.elem_type = dtype
    if shape is not None:
        of.tensor_type.shape.SetInParent()
        for dim in shape:
            added = of.tensor_type.shape.dim.add()
            if isinstance(dim, int):
                if dim < 1 << 63:  # more than a dim can say
                    added.dim_value = dim
            elif dim is not None:
                added.dim_param = str(dim)
    return of
