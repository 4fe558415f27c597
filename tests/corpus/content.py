"""Files that are no ONNX model at all, or a broken one: 1 to 12 and 16 of the list."""

from __future__ import annotations

import io
import os
import pickle
import random
import socket
import zipfile
from typing import TYPE_CHECKING

from onnx import helper

from tests.corpus.case import Case, field, model_of, of_bytes, of_model, refused, relu, varint

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

_LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:" + b"4d7a" * 16 + b"\nsize 102442450\n"
)
_PAGE = b"<!DOCTYPE html>\n<html><head><title>404: Not Found</title></head><body>Oops</body></html>"
_GRAPH = 7  # field number in ModelProto


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.onnx", relu().SerializeToString())
    return buffer.getvalue()


def _truncated() -> bytes:
    data = relu().SerializeToString()
    return data[: len(data) * 2 // 3]


def _nested(depth: int) -> bytes:
    """An attribute's graph in a node in a graph in an attribute … (fields 6, 5 and 1)."""
    data = b""
    for level in reversed(range(depth)):
        data = field((1, 5, 6)[level % 3], data)
    return b"\x08\x0a" + field(_GRAPH, data)


def _types_nested(depth: int) -> bytes:
    """A sequence of sequences of …, which fits into a message that the reader copies unread."""
    data = b""
    for _ in range(depth):
        data = field(4, field(1, data))
    return b"\x08\x0a" + field(_GRAPH, field(11, field(1, b"x") + field(2, data)))


def _long_name() -> onnx.ModelProto:
    return model_of([helper.make_node("Relu", ["x"], ["y"], name="n" * 10_000_000)])


def _not_utf8() -> bytes:
    return relu().SerializeToString().replace(b"relu", b"re\xff\xfe")


def _folder(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.mkdir()
    return path


def _fifo(folder: Path) -> Path:
    path = folder / "model.onnx"
    os.mkfifo(path)
    return path


def _socket(folder: Path) -> Path:
    path = folder / "model.onnx"
    # The name of a socket may have 108 bytes, that of a test's folder has more.
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{at}/model.onnx")
    finally:
        os.close(at)
    return path


def _device(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.symlink_to("/dev/zero")
    return path


def _above_two_gigabytes(folder: Path) -> Path:
    """Weights inside the file that protobuf cannot read. Sparse: takes no room on the disk."""
    weight_bytes = (1 << 31) + 8
    tensor = b"\x08" + varint(weight_bytes // 4) + b"\x10\x01" + field(8, b"w")
    tensor += varint(9 << 3 | 2) + varint(weight_bytes)
    graph = varint(5 << 3 | 2) + varint(len(tensor) + weight_bytes) + tensor
    path = folder / "model.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x0a" + varint(_GRAPH << 3 | 2) + varint(len(graph) + weight_bytes))
        file.write(graph)
        file.truncate(file.tell() + weight_bytes)
    return path


def _unreadable(folder: Path) -> Path:
    path = of_model(relu)(folder)
    path.chmod(0)
    return path


CONTENT: tuple[Case, ...] = (
    refused("empty", 1, "empty", of_bytes(b"")),
    refused("truncated", 2, "truncated", of_bytes(_truncated())),
    refused("cut after one byte", 2, "truncated", of_bytes(b"\x08")),
    refused("random bytes", 3, "malformed", of_bytes(random.Random(5).randbytes(4096))),
    refused("zeros", 4, "zeros", of_bytes(bytes(100_000))),
    refused("text", 5, "text", of_bytes("Modèle à télécharger\n".encode() * 40)),
    refused("html 404", 6, "html", of_bytes(_PAGE)),
    refused("git-lfs pointer", 7, "git-lfs-pointer", of_bytes(_LFS_POINTER)),
    refused("pickle", 8, "pickle", of_bytes(pickle.dumps({"state_dict": [1, 2, 3]}))),
    refused("zip", 9, "archive", of_bytes(_zip())),
    refused("gzip", 9, "archive", of_bytes(b"\x1f\x8b\x08" + bytes(20))),
    refused("folder", 10, "not-regular", _folder),
    refused("fifo", 10, "not-regular", _fifo),
    refused("socket", 10, "not-regular", _socket),
    refused("device", 10, "not-regular", _device),
    refused("missing", 10, "missing", lambda folder: folder / "model.onnx"),
    Case("unreadable", 11, _unreadable, reason="unreadable", as_user=True),
    refused("3000-deep messages", 12, "nested-too-deep", of_bytes(_nested(3000))),
    refused("300-deep small messages", 12, "malformed", of_bytes(_nested(300))),
    refused("3000-deep types", 12, "malformed", of_bytes(_types_nested(3000))),
    refused("name of 10 MB", 16, "name-too-long", of_model(_long_name)),
    refused("name that is not utf-8", 17, "malformed", of_bytes(_not_utf8())),
    refused("file above 2 GB", 42, "file-too-large", _above_two_gigabytes),
    # Fields that no protobuf writer makes.
    refused("length past the end", 3, "truncated", of_bytes(b"\x08\x0a" + b"\x3a\xff\xff\xff\x7f")),
    refused("length of 2^64 - 1", 3, "truncated", of_bytes(b"\x08\x0a\x3a" + varint(2**64 - 1))),
    refused("varint overflow", 3, "malformed", of_bytes(b"\x08\x0a\x3a" + b"\xff" * 12)),
    refused("group", 3, "malformed", of_bytes(b"\x08\x0a\x3b\x3c")),
    refused("field number 0", 3, "malformed", of_bytes(b"\x08\x0a\x02\x00")),
    refused("graph as a number", 3, "malformed", of_bytes(b"\x08\x0a\x38\x05")),
    refused(
        "field beyond its message",
        3,
        "malformed",
        of_bytes(b"\x08\x0a" + field(_GRAPH, b"\x0a\x7f") + bytes(200)),
    ),
)
