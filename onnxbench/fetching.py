"""Asks a file source for its file, and does not wait for ever."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING

from onnxbench.errors import ExportError, OnnxBenchError

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.conversion import Bounds
    from onnxbench.protocols import FileSource
    from onnxbench.types import ModelSpec

POLL_S = 0.1
"""How soon a download that is under way is left when somebody stops."""


def located(exporter: FileSource, spec: ModelSpec, folder: Path, bounds: Bounds) -> Path:
    """Return the file of ``spec``; one that has to be fetched goes to ``folder``.

    Raises OnnxBenchError, and KeyboardInterrupt when ``bounds`` say stop: a download that is under
    way is left then, or when it takes longer than a phase may.
    """
    found: Future[Path] = Future()

    def locate() -> None:
        try:
            found.set_result(exporter.locate(spec, folder))
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            found.set_exception(error)

    # A thread that nobody has to wait for: nothing can end a download that goes on and on.
    Thread(target=locate, daemon=True).start()
    until = time.monotonic() + bounds.limit_s
    while not wait([found], timeout=POLL_S).done:
        if bounds.stop is not None and bounds.stop.is_set():
            raise KeyboardInterrupt
        if time.monotonic() > until:
            message = f"{spec.source} was not there after {bounds.limit_s:g} s"
            raise ExportError(message, "raise --timeout")
    try:
        return found.result()
    except OnnxBenchError:
        raise
    except Exception as error:
        message = f"exporter {spec.scheme} failed on {spec.id}: {error}"
        raise ExportError(message, "onnxbench list models shows the catalogue") from error
