"""The structure of an ONNX file, read and checked without its weights.

What `onnxbench.graph.preflight` and `onnxbench.graph.analysis` both stand on. Every file is
treated as hostile: see docs/method.md, threats.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.graph.external import ExternalFile, check_files, external_ranges
from onnxbench.graph.foreign import require_text, shown
from onnxbench.graph.names import check_names
from onnxbench.graph.payloads import check_tensor
from onnxbench.graph.reader import Stripped, strip
from onnxbench.graph.scopes import Scope, scopes, tensors
from onnxbench.graph.sniff import HEAD_BYTES, refuse_foreign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

MAX_FILE_BYTES = (1 << 31) - 1
"""protobuf reads no larger message; bigger models keep their weights in external data."""

_FIRST_IR_WITH_OPSETS = 3
_EXPORT = "export the model anew"
_DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class Structure:
    """A model without its big payloads, whose names, tensors and external files were checked.

    ``opset``: version by domain, "" for ai.onnx. ``operators``: nodes that inference may run, by
    ``domain::op_type``. ``weight_bytes``: of all tensors of the inference graphs.
    ``in_order``: nodes stand behind those that make what they read, subgraphs apart.
    """

    stripped: Stripped
    model: ModelProto
    opset: dict[str, int]
    operators: Counter[str]
    external: list[ExternalFile]
    weight_bytes: int
    in_order: bool


def read_structure(fd: int, folder: Path) -> Structure:
    """Return the structure of the model in the open file ``fd``; its data lies in ``folder``.

    Raises RefusedInput.
    """
    size_bytes = os.fstat(fd).st_size
    _check_size(size_bytes)
    refuse_foreign(os.pread(fd, HEAD_BYTES, 0))
    stripped = strip(fd, size_bytes)
    model = _parse(stripped.model)
    _check_ir_version(model)
    opset = _opset(model)
    _check_graph(model)
    all_scopes = list(scopes(model))
    operators = _operators(all_scopes)
    in_order = check_names(all_scopes)
    weight_bytes = 0
    found = [tensor for scope in all_scopes for tensor in tensors(scope)]
    for tensor in found:
        tensor_bytes = check_tensor(tensor.proto, stripped.dropped, tensor.where)
        weight_bytes += tensor_bytes if tensor.inference else 0
    external = check_files(folder, external_ranges(found))
    return Structure(stripped, model, opset, operators, external, weight_bytes, in_order)


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_FILE_BYTES:
        raise RefusedInput(
            "file-too-large",
            f"the file has {size_bytes:,} bytes; protobuf reads at most {MAX_FILE_BYTES:,}",
            "save the model with external data",
        )


def _parse(data: bytes) -> ModelProto:
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from onnx import ModelProto  # noqa: PLC0415 (the parent never imports onnx)

    try:
        model: ModelProto = ModelProto.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        msg = f"not an ONNX file: {shown(str(error))}"
        raise RefusedInput("malformed", msg, "download or export the model anew") from None
    return model


def _check_ir_version(model: ModelProto) -> None:
    import onnx  # noqa: PLC0415

    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        raise RefusedInput(
            "ir-version",
            f"IR version {model.ir_version}; onnx {onnx.__version__} knows 1 to {onnx.IR_VERSION}",
            "pip install -U onnx, or export with an older IR version",
        )


def _opset(model: ModelProto) -> dict[str, int]:
    """Return version by domain ("" = ai.onnx). Raises RefusedInput ``opset``."""
    from onnx.defs import onnx_opset_version  # noqa: PLC0415

    opset: dict[str, int] = {}
    for entry in model.opset_import:
        require_text(entry.domain)
        domain = "" if entry.domain in _DEFAULT_DOMAINS else entry.domain
        if opset.setdefault(domain, entry.version) != entry.version or entry.version < 1:
            msg = f"operator set {shown(entry.domain)} has version {entry.version} or two versions"
            raise RefusedInput("opset", msg, _EXPORT)
    if not opset:
        if model.ir_version >= _FIRST_IR_WITH_OPSETS:
            msg = "the model names no operator set"
            raise RefusedInput("opset", msg, _EXPORT)
        opset[""] = 1
    if opset.get("", 1) > onnx_opset_version():
        raise RefusedInput(
            "opset",
            f"opset {opset['']}; the installed onnx knows up to {onnx_opset_version()}",
            "pip install -U onnx, or export with an older opset",
        )
    return opset


def _check_graph(model: ModelProto) -> None:
    if not model.HasField("graph"):
        raise RefusedInput("no-graph", "the model holds no graph", _EXPORT)
    if not model.graph.node:
        raise RefusedInput("no-nodes", "the graph has no nodes: nothing to run", _EXPORT)
    if not model.graph.output:
        raise RefusedInput("no-outputs", "the graph has no outputs: nothing to run", _EXPORT)


def _operators(all_scopes: Iterable[Scope]) -> Counter[str]:
    """Count the nodes that inference may run, by ``domain::op_type``."""
    found: Counter[tuple[str, str]] = Counter()
    for scope in all_scopes:
        if scope.inference:
            require_text(*[node.name for node in scope.nodes])
            found.update([(node.domain, node.op_type) for node in scope.nodes])
    require_text(*(name for operator in found for name in operator))
    operators: Counter[str] = Counter()
    for (domain, op_type), count in found.items():
        operators[f"{domain or 'ai.onnx'}::{op_type}"] += count
    if "com.microsoft::EPContext" in operators:
        raise RefusedInput(
            "ep-context",
            "the model wraps a compiled engine (EPContext): native code",
            "benchmark the model that the engine was compiled from",
        )
    return operators
