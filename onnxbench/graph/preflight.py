"""Looks at an ONNX file before any runtime does: `preflight` gives an Artifact or refuses.

Every file is treated as hostile. Weights are neither loaded nor mapped: the structure is read by
`onnxbench.graph.reader`, and bytes of weights only pass through the hash. It runs in a child
process, for onnx parses untrusted bytes here; nothing in this module imports a runtime. The
checks of the structure are in `onnxbench.graph.structure`.

`onnx.checker` has no part in it: it wants the payloads, does not look at external ranges or sparse
tensors, and passes opset 999. What a runtime says by itself, it may say: unknown operators, wrong
shapes and attributes are refused there, as one cell's failure.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.graph.external import sha256_of_external
from onnxbench.graph.files import open_model, sha256_of
from onnxbench.graph.foreign import shown
from onnxbench.graph.indices import index_limits
from onnxbench.graph.signature import inputs_of, outputs_of
from onnxbench.graph.structure import read_structure
from onnxbench.types import Artifact, ArtifactFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnxbench.graph.external import ExternalFile
    from onnxbench.graph.structure import Structure

MAX_NAMES_LENGTH = 4 * 1024 * 1024
"""Characters of all names that an Artifact carries to the parent."""


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
        found = read_structure(fd, path.parent)
        sha256 = _artifact_sha256(sha256_of(fd, before), before, path.parent, found.external)
    model = found.model
    artifact = Artifact(
        sha256=sha256,
        files=(
            _file(path, "model", before),
            *(_file(path.parent / file.name, "external", file.status) for file in found.external),
        ),
        ir_version=model.ir_version,
        opset=found.opset,
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
        inputs=inputs_of(model.graph, index_limits(model.graph)),
        outputs=outputs_of(model.graph),
        operators=dict(found.operators),
        node_count=found.operators.total(),
        initializer_bytes=found.weight_bytes,
        notes=tuple(_notes(found)),
    )
    _check_names_length(artifact)
    return artifact


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


def _notes(found: Structure) -> Iterable[str]:
    if found.external:
        size_bytes = sum(file.status.st_size for file in found.external)
        yield f"{len(found.external)} external data files, {size_bytes:,} bytes"
    domains = sorted({key.rpartition("::")[0] for key in found.operators} - {"ai.onnx"})
    if domains:
        yield "operators beyond ai.onnx: " + ", ".join(shown(domain) for domain in domains[:10])
    if found.model.functions:
        yield f"{len(found.model.functions)} functions"
    if found.model.training_info:
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
