"""External data: tensors whose bytes lie in other files, named by the model.

A model from a stranger names those files, so a name is untrusted: it may only mean a regular file
beneath the model's folder, reached without links, and the range must lie inside it. Neither onnx
nor ONNX Runtime is trusted to check that (see docs/method.md, threats).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.errors import RefusedInput
from onnxbench.graph.files import open_beneath, refuse_changed, sha256_of
from onnxbench.graph.foreign import require_text, shown
from onnxbench.graph.payloads import raw_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import TensorProto

    from onnxbench.graph.scopes import FoundTensor

IN_MEMORY_MARKER = "*/_ORT_MEM_ADDR_/*"
"""ONNX Runtime's own name for "offset is an address in this process"; never valid in a file."""

_KEYS = frozenset({"location", "offset", "length", "checksum"})
"""What ONNX Runtime takes. onnx also knows ``basepath``, which changes where the file is."""

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_MAX_OFFSET = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class ExternalRange:
    """The bytes of one tensor: ``bytes`` bytes from ``offset`` of the file ``name``.

    ``name`` is relative to the model's folder, without ``.`` components.
    """

    name: str
    offset: int
    bytes: int
    where: str


@dataclass(frozen=True, slots=True)
class ExternalFile:
    """One external data file as it was found."""

    name: str
    status: os.stat_result


def external_ranges(found: Iterable[FoundTensor]) -> list[ExternalRange]:
    """Return where the external tensors among ``found`` lie, as the model says, opening nothing.

    Raises RefusedInput: ``external-data-malformed``, ``external-data-escapes``,
    ``external-data-in-memory``, ``external-data-size``.
    """
    return [
        _range(tensor.proto, tensor.where)
        for tensor in found
        if tensor.proto.data_location == tensor.proto.EXTERNAL
    ]


def check_files(folder: Path, ranges: Iterable[ExternalRange]) -> list[ExternalFile]:
    """Return the files that hold ``ranges``, sorted by name; every range lies inside its file.

    Raises RefusedInput as `open_beneath` does, and ``external-data-size``.
    """
    by_name: dict[str, list[ExternalRange]] = {}
    for each in ranges:
        by_name.setdefault(each.name, []).append(each)
    files = []
    for name in sorted(by_name):
        with open_beneath(folder, name) as fd:
            status = os.fstat(fd)
        for each in by_name[name]:
            if each.offset + each.bytes > status.st_size:
                raise RefusedInput(
                    "external-data-size",
                    f"{each.where} ends at byte {each.offset + each.bytes:,} of {shown(name)}, "
                    f"which has {status.st_size:,}",
                    "the data file is incomplete or of another model: download it anew",
                )
        files.append(ExternalFile(name, status))
    return files


def sha256_of_external(folder: Path, file: ExternalFile) -> str:
    """Return the SHA-256 of an external data file. Raises RefusedInput if it changed since."""
    with open_beneath(folder, file.name) as fd:
        refuse_changed(file.status, os.fstat(fd))
        return sha256_of(fd, file.status)


def _range(tensor: TensorProto, where: str) -> ExternalRange:
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        require_text(entry.key, entry.value)
        if entry.key not in _KEYS:
            raise _malformed(where, f"has the unknown key {shown(entry.key)}")
        if entry.key in entries:
            raise _malformed(where, f"has the key {shown(entry.key)} twice")
        entries[entry.key] = entry.value
    if tensor.data_type == tensor.STRING:
        raise _malformed(where, "holds strings, which cannot lie in a file")
    if tensor.raw_data or tensor.HasField("segment"):
        raise _malformed(where, "has data in the model as well")
    needed_bytes = raw_bytes(tensor, where)
    length_bytes = _number(entries.get("length", str(needed_bytes)), "length", where)
    if length_bytes != needed_bytes:
        raise RefusedInput(
            "external-data-size",
            f"{where} says length {length_bytes:,}; its type and dims need {needed_bytes:,} bytes",
            "the file is damaged: download or export it anew",
        )
    name = _relative_name(entries.get("location", ""), where)
    return ExternalRange(name, _number(entries.get("offset", "0"), "offset", where),
                         needed_bytes, where)  # fmt: skip


def _relative_name(location: str, where: str) -> str:
    """Return ``location`` as a clean path beneath the model's folder."""
    if location.startswith(IN_MEMORY_MARKER):
        raise RefusedInput(
            "external-data-in-memory",
            f"{where} names an address in memory as its data",
            "the file was saved from a running session; export it anew",
        )
    parts = [part for part in location.split("/") if part not in ("", ".")]
    if location.startswith("/") or ".." in parts or "\\" in location:
        raise RefusedInput(
            "external-data-escapes",
            f"{where} names a file outside the model's folder: {shown(location)}",
            "put the data beside the model and save it with that name",
        )
    if not parts or "\0" in location:
        raise _malformed(where, f"has no usable location: {shown(location)}")
    return "/".join(parts)


def _number(text: str, key: str, where: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > _MAX_OFFSET:
        raise _malformed(where, f"has an {key} that is no size: {shown(text)}")
    return int(text)


def _malformed(where: str, what: str) -> RefusedInput:
    msg = f"external data of {where} {what}"
    return RefusedInput("external-data-malformed", msg, "save the model anew with onnx.save")
