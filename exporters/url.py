"""``url:https://…/model.onnx``: an ONNX file to be downloaded, whose SHA-256 is known."""

from __future__ import annotations

import hashlib
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit

from onnxbench.errors import ExportError, UsageError
from onnxbench.sources import MODEL_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import ModelSpec

TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 20
MAX_BYTES = 64 << 30
SCHEMES = ("https", "http", "file")


class UrlExporter:
    """Downloads one file and believes it only if its hash is the one that was announced."""

    name = "url"

    def locate(self, spec: ModelSpec, folder: Path) -> Path:
        """Return the downloaded file in ``folder``. Raises ExportError or UsageError."""
        if spec.sha256 is None:
            raise UsageError(
                f"{spec.id}: a url: source needs the file's sha256", "sha256sum MODEL.onnx"
            )
        scheme = urlsplit(spec.location).scheme
        if scheme not in SCHEMES:
            raise UsageError(
                f"{spec.id}: {scheme or 'no'} URL scheme, where {', '.join(SCHEMES)} are known",
                "url:https://host/model.onnx",
            )
        path = folder / MODEL_FILE
        try:
            found = _download(spec.location, path)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(error, HTTPError):
                reason = f"HTTP {error.code} {reason}"
                error.close()
            raise ExportError(
                f"{spec.location} cannot be downloaded: {reason}",
                "check the address and the network, or give the file itself: source: file:PATH",
            ) from error
        if found != spec.sha256:
            path.unlink()
            raise ExportError(
                f"{spec.location} is not what was announced: SHA-256 {found}, expected "
                f"{spec.sha256}",
                "if the new file is to be trusted, put its hash into models.yaml",
            )
        return path


def _download(url: str, path: Path) -> str:
    """Write the file at ``url`` to ``path``; return its SHA-256. Raises OSError, ValueError."""
    request = urllib.request.Request(url, headers={"User-Agent": "onnxbench"})  # noqa: S310
    hasher = hashlib.sha256()
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, path.open("wb") as file:  # noqa: S310
        length = answer.headers.get("Content-Length")
        while chunk := answer.read(CHUNK_BYTES):
            hasher.update(chunk)
            file.write(chunk)
            if file.tell() > MAX_BYTES:
                message = f"longer than {MAX_BYTES} bytes"
                raise ValueError(message)
        if length is not None and length.isdecimal() and int(length) != file.tell():
            message = f"it ended after {file.tell()} of {length} bytes"
            raise ValueError(message)
    return hasher.hexdigest()
