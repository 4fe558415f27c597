"""Static analysis beside pre-flight, in a process that may fail or take too long.

The child that checked a file forks: what onnx's C++ does with a hostile graph, a crash or an
endless loop, then costs the figures and not the measurement. A fork and not a new process, for
onnx is imported here already, which takes longer than the analysis of a network.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
import warnings
from typing import TYPE_CHECKING, Any

from onnxbench.errors import OnnxBenchError
from onnxbench.graph.profile import Binding
from onnxbench.graph.static import static_document
from onnxbench.worker import guard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxbench.types import JsonObject

    Shapes = Mapping[str, Sequence[int]]

MAX_BYTES = 4 << 20
"""All figures together; what a hostile file makes longer is left out."""

_READ_BYTES = 1 << 16


def static_documents(
    path: Path, wanted: Sequence[Shapes], limit_s: float, *, nodes: bool = False
) -> list[JsonObject]:
    """Return the static figures of the model at ``path`` for each set of input shapes.

    With ``work``, which bounds are computed from, and on demand the ``nodes``. What could not be
    had within ``limit_s`` for all of them is ``{"reason": …}``. Raises nothing.
    """
    if not wanted:
        return []
    try:
        lines, reason = _in_fork(path, wanted, limit_s, nodes)
        found = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        found, reason = [], f"the analysis could not be run: {error}"
    return [*found, *({"reason": reason} for _ in wanted[len(found) :])]


def _in_fork(
    path: Path, wanted: Sequence[Shapes], limit_s: float, nodes: bool
) -> tuple[list[bytes], str]:
    """Return the whole lines that the forked process wrote, and why there are no more."""
    reading, writing = os.pipe()
    parent_pid = os.getpid()
    with warnings.catch_warnings():
        # numpy's idle threads: nothing here calls into them after the fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _analyze_and_exit(path, wanted, nodes, writing, parent_pid)
    os.close(writing)
    try:
        data, stopped = _read(reading, limit_s)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return data.split(b"\n")[:-1], stopped or _why(status)


def _read(fd: int, limit_s: float) -> tuple[bytes, str]:
    """Return what comes from ``fd``, and why no more of it was waited for, "" at its end."""
    data = bytearray()
    deadline = time.monotonic() + limit_s
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
            return bytes(data), f"the analysis did not end within {limit_s:g} s"
        piece = os.read(fd, _READ_BYTES)
        if not piece:
            return bytes(data), ""
        if len(data) + len(piece) > MAX_BYTES:
            return bytes(data), f"its figures take more than {MAX_BYTES:,} bytes"
        data += piece


def _why(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"the analysis was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return "the analysis ended without a result"


def _analyze_and_exit(
    path: Path, wanted: Sequence[Shapes], nodes: bool, fd: int, parent_pid: int
) -> None:
    """Write a line for each of ``wanted``; never returns."""
    try:
        guard.secure(parent_pid, None)
        for shapes in wanted:
            line = json.dumps(_document(path, shapes, nodes)).encode() + b"\n"
            while line:
                line = line[os.write(fd, line) :]
    finally:
        os._exit(0)


def _document(path: Path, shapes: Shapes, nodes: bool) -> dict[str, Any]:
    from onnxbench.graph.analysis import analyze  # noqa: PLC0415 - it must not fail the parent
    from onnxbench.graph.work import work_document  # noqa: PLC0415

    binding = Binding(shapes={name: tuple(shape) for name, shape in shapes.items()})
    try:
        profile = analyze(path, binding)
        return {**static_document(profile), **work_document(profile, nodes=nodes)}
    except OnnxBenchError as error:
        return {"reason": error.message}
    except MemoryError:
        return {"reason": "the analysis took more memory than allowed"}
    except Exception as error:  # noqa: BLE001 - a fault of ours must not cost the measurement
        return {"reason": f"the analysis failed: {type(error).__name__}: {error}"[:500]}
