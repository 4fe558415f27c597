"""Names the common kinds of file that are given in place of an ONNX model.

ONNX has no magic bytes, so a wrong file can only be told by what it is instead.
"""

from __future__ import annotations

from onnxbench.errors import RefusedInput

HEAD_BYTES = 512
"""How much of the beginning of a file `refuse_foreign` wants to see."""

_EXPORT = "export the model to ONNX first"

_MAGIC: tuple[tuple[int, bytes, str, str, str], ...] = (
    # offset, bytes, reason, what it is, hint
    (
        0,
        b"version https://git-lfs",
        "git-lfs-pointer",
        "a Git LFS pointer, not the model",
        "fetch the model itself: git lfs pull",
    ),
    (0, b"PK\x03\x04", "archive", "a zip archive or a PyTorch checkpoint", "unpack or " + _EXPORT),
    (0, b"PK\x05\x06", "archive", "an empty zip archive", "download the model anew"),
    (0, b"\x1f\x8b", "archive", "a gzip archive", "unpack it"),
    (0, b"BZh", "archive", "a bzip2 archive", "unpack it"),
    (0, b"\xfd7zXZ\x00", "archive", "an xz archive", "unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "archive", "a zstd archive", "unpack it"),
    (257, b"ustar", "archive", "a tar archive", "unpack it"),
    (0, b"\x89HDF\r\n", "other-format", "an HDF5 file (Keras?)", _EXPORT),
    (0, b"GGUF", "other-format", "a GGUF model", _EXPORT),
    (4, b"TFL3", "other-format", "a TensorFlow Lite model", _EXPORT),
    (4, b"ORTM", "other-format", "an ORT-format model", "give the ONNX file it was made from"),
    (0, b"\x93NUMPY", "other-format", "a NumPy array", "give the model; arrays go to --inputs"),
    (0, b"\x7fELF", "other-format", "a program or a native library", "give the ONNX file"),
    (0, b"%PDF-", "other-format", "a PDF document", "give the ONNX file"),
    (0, b"\x89PNG\r\n", "other-format", "a PNG image", "give the ONNX file"),
    (0, b"\xff\xd8\xff", "other-format", "a JPEG image", "give the ONNX file"),
)

_PICKLE_PROTOCOLS = range(2, 6)


def refuse_foreign(head: bytes) -> None:
    """Raise RefusedInput if ``head``, the first bytes of a file, shows that it is no ONNX model.

    Reasons: ``git-lfs-pointer``, ``archive``, ``other-format``, ``pickle``, ``zeros``, ``html``,
    ``text``.
    """
    for offset, magic, reason, what, hint in _MAGIC:
        if head.startswith(magic, offset):
            raise RefusedInput(reason, f"the file is {what}", hint)
    if len(head) > 1 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS:
        raise RefusedInput(
            "pickle", "the file is a Python pickle, which can run any code when it is read", _EXPORT
        )
    if not head.strip(b"\0"):
        raise RefusedInput(
            "zeros", "the file holds only zeros", "the download was cut short: fetch it anew"
        )
    if head[8:10] == b'{"':
        raise RefusedInput("other-format", "the file is a safetensors file", _EXPORT)
    if _is_text(head):
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower()
        if start.startswith((b"<!doctype html", b"<html")):
            raise RefusedInput(
                "html", "the file is a web page", "download the raw file, not the page about it"
            )
        raise RefusedInput("text", "the file is text", "give the ONNX file")


def _is_text(head: bytes) -> bool:
    """Return whether ``head`` is UTF-8 without control characters; no ONNX file is."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a character that the end of head cuts
            return False
        text = head[: error.start].decode()
    return all(char.isprintable() or char in "\t\r\n\f" for char in text)
