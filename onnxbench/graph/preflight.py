"""Looks at an ONNX file before any runtime does: `preflight` gives an Artifact or refuses.

Every file is treated as hostile. Weights are neither loaded nor mapped: the structure is read by
`onnxbench.graph.reader`, and bytes of weights only pass through the hash. It runs in a child
process, for onnx parses untrusted bytes here; nothing in this module imports a runtime.

`onnx.checker` has no part in it: it wants the payloads, does not look at external ranges or sparse
tensors, and passes opset 999. What a runtime says by itself, it may say: unknown operators, wrong
shapes and attributes are refused there, as one cell's failure.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.errors import RefusedInput
from onnxbench.graph.external import check_files, external_ranges, sha256_of_external
from onnxbench.graph.files import open_model, sha256_of
from onnxbench.graph.foreign import require_text, shown
from onnxbench.graph.indices import index_limits
from onnxbench.graph.names import check_names
from onnxbench.graph.payloads import check_tensor
from onnxbench.graph.reader import Stripped, strip
from onnxbench.graph.scopes import Scope, scopes, tensors
from onnxbench.graph.signature import inputs_of, outputs_of
from onnxbench.graph.sniff import HEAD_BYTES, refuse_foreign
from onnxbench.types import Artifact, ArtifactFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

    from onnxbench.graph.external import ExternalFile

MAX_FILE_BYTES = (1 << 31) - 1
"""protobuf reads no larger message; bigger models keep their weights in external data."""

MAX_NAMES_LENGTH = 4 * 1024 * 1024
"""Characters of all names that an Artifact carries to the parent."""

_FIRST_IR_WITH_OPSETS = 3
_EXPORT = "export the model anew"
_DEFAULT_DOMAINS = ("", "ai.onnx")


def preflight(path: Path) -> Artifact:
    """Return what the ONNX file at ``path`` is, with the hash of its every byte.

    ``Artifact.sha256`` of a model without external data is the plain SHA-256 of its file, the one
    that ``sha256sum`` prints. With external data it is the SHA-256 over one entry per file, the
    model first (its name left empty, so that renaming it changes nothing), then the data files
    sorted by name: hex SHA-256 of the file, a space, its size in decimal, a space, its name
    relative to the model's folder in UTF-8, a NUL byte.

    Takes the time to hash all files; memory does not grow with them. Raises RefusedInput.
    """
    path = path.absolute()
    with open_model(path) as fd:
        before = os.fstat(fd)
        _check_size(before.st_size)
        refuse_foreign(os.pread(fd, HEAD_BYTES, 0))
        stripped = strip(fd, before.st_size)
        facts = _facts(stripped, path.parent)
        sha256 = _artifact_sha256(sha256_of(fd, before), before, path.parent, facts.external)
    model = facts.model
    artifact = Artifact(
        sha256=sha256,
        files=(
            _file(path, "model", before),
            *(_file(path.parent / file.name, "external", file.status) for file in facts.external),
        ),
        ir_version=model.ir_version,
        opset=facts.opset,
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
        inputs=inputs_of(model.graph, index_limits(model.graph)),
        outputs=outputs_of(model.graph),
        operators=dict(facts.operators),
        node_count=facts.operators.total(),
        initializer_bytes=facts.weight_bytes,
        notes=tuple(_notes(facts)),
    )
    _check_names_length(artifact)
    return artifact


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_FILE_BYTES:
        raise RefusedInput(
            "file-too-large",
            f"the file has {size_bytes:,} bytes; protobuf reads at most {MAX_FILE_BYTES:,}",
            "save the model with external data",
        )


class _Facts(NamedTuple):
    """What the structure of a model says."""

    model: ModelProto
    opset: dict[str, int]
    operators: Counter[str]
    external: list[ExternalFile]
    weight_bytes: int


def _facts(stripped: Stripped, folder: Path) -> _Facts:
    model = _parse(stripped.model)
    _check_ir_version(model)
    opset = _opset(model)
    _check_graph(model)
    all_scopes = list(scopes(model))
    operators = _operators(all_scopes)
    check_names(all_scopes)
    weight_bytes = 0
    found = [tensor for scope in all_scopes for tensor in tensors(scope)]
    for tensor in found:
        size_bytes = check_tensor(tensor.proto, stripped.dropped, tensor.where)
        weight_bytes += size_bytes if tensor.inference else 0
    external = check_files(folder, external_ranges(found))
    return _Facts(model, opset, operators, external, weight_bytes)


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
    operators: Counter[str] = Counter()
    for scope in all_scopes:
        if scope.inference:
            for node in scope.nodes:
                require_text(node.op_type, node.domain, node.name, *node.input, *node.output)
                operators[f"{node.domain or 'ai.onnx'}::{node.op_type}"] += 1
    if "com.microsoft::EPContext" in operators:
        raise RefusedInput(
            "ep-context",
            "the model wraps a compiled engine (EPContext): native code",
            "benchmark the model that the engine was compiled from",
        )
    return operators


def _artifact_sha256(
    model_sha256: str, status: os.stat_result, folder: Path, external: list[ExternalFile]
) -> str:
    """Return the digest that `preflight` documents."""
    if not external:
        return model_sha256
    whole = hashlib.sha256(f"{model_sha256} {status.st_size} \0".encode())
    for file in external:
        sha256 = sha256_of_external(folder, file)
        whole.update(f"{sha256} {file.status.st_size} {file.name}\0".encode())
    return whole.hexdigest()


def _file(path: Path, role: str, status: os.stat_result) -> ArtifactFile:
    return ArtifactFile(
        path=str(path),
        role="model" if role == "model" else "external",
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
    )


def _notes(facts: _Facts) -> Iterable[str]:
    if facts.external:
        size_bytes = sum(file.status.st_size for file in facts.external)
        yield f"{len(facts.external)} external data files, {size_bytes:,} bytes"
    domains = sorted({key.rpartition("::")[0] for key in facts.operators} - {"ai.onnx"})
    if domains:
        yield "operators beyond ai.onnx: " + ", ".join(shown(domain) for domain in domains[:10])
    if facts.model.functions:
        yield f"{len(facts.model.functions)} functions"
    if facts.model.training_info:
        yield "training graphs are ignored"


def _check_names_length(artifact: Artifact) -> None:
    """The parent keeps these names, so they are bounded, whatever the file has."""
    specs = (*artifact.inputs, *artifact.outputs)
    length = sum(len(spec.name) + 64 for spec in specs)
    length += sum(len(dim) for spec in specs for dim in spec.shape or () if isinstance(dim, str))
    length += sum(len(key) + 16 for key in (*artifact.operators, *artifact.opset))
    if length > MAX_NAMES_LENGTH:
        msg = f"the names of inputs, outputs and operators have {length:,} characters"
        raise RefusedInput("name-too-long", msg, f"at most {MAX_NAMES_LENGTH:,}")
