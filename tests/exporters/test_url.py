"""``url:``: a real server; what it gives is believed only with the announced hash."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from onnxbench.errors import ExportError, UsageError
from onnxbench.exporters.url import UrlExporter
from onnxbench.types import ModelSpec

CONTENT = b"model" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Cut(Handler):
    """Announces more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    (tmp_path / "m.onnx").write_bytes(CONTENT)
    handler = partial(getattr(request, "param", Handler), directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def locate(url: str, folder: Path, sha256: str | None = SHA256) -> Path:
    return UrlExporter().locate(ModelSpec("m", f"url:{url}", sha256=sha256), folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "to"
    path.mkdir()
    return path


def test_a_download_with_the_right_hash_is_taken(served: str, folder: Path) -> None:
    assert locate(f"{served}/m.onnx", folder).read_bytes() == CONTENT


def test_another_hash_is_refused_and_nothing_is_left(served: str, folder: Path) -> None:
    with pytest.raises(ExportError, match=SHA256) as caught:
        locate(f"{served}/m.onnx", folder, "0" * 64)
    assert "models.yaml" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_a_hash_is_required(folder: Path) -> None:
    with pytest.raises(UsageError, match="sha256"):
        locate("https://nowhere.invalid/m.onnx", folder, None)


@pytest.mark.parametrize("url", ["ftp://host/m.onnx", "m.onnx", "javascript:1"])
def test_other_schemes_are_refused(folder: Path, url: str) -> None:
    with pytest.raises(UsageError, match="URL scheme"):
        locate(url, folder)


def test_what_is_not_there_is_said(served: str, folder: Path) -> None:
    with pytest.raises(ExportError, match="404"):
        locate(f"{served}/other.onnx", folder)
    with pytest.raises(ExportError, match="cannot be downloaded") as caught:
        locate("http://127.0.0.1:1/m.onnx", folder)
    assert "file:PATH" in caught.value.hint


@pytest.mark.parametrize("served", [Cut], indirect=True)
def test_a_download_that_breaks_off_is_refused(served: str, folder: Path) -> None:
    with pytest.raises(ExportError, match=r"ended after|IncompleteRead"):
        locate(f"{served}/m.onnx", folder)
