"""A runtime adapter from elsewhere that breaks the contract on command.

Option ``fault`` names a function of this module, option ``at`` the stage in which it is called:
``build``, ``bind``, ``run`` (the default), ``outputs``, ``placement`` or ``close``. Option ``then``
names one that follows, option ``sign`` a file that is made when it comes to that. Without options
it is an engine whose output is the sum of its inputs. The worker bundle carries it: stdlib, numpy
and the bundle only.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench import errors
from onnxbench.types import Capability

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "\x1b[31mred\x1b[0m\x07 \u202eback\u2066 \x9b5m [/foo] nul\x00 \ud800 line\nline"


class Interruptible(Exception):
    """What a runtime raises when it was asked to stop."""


class FaultEngine:
    """One output, and one fault."""

    sync = None

    def __init__(self, request: Any) -> None:
        self.request = request
        self.fault = request.options.get("fault")
        self.at = request.options.get("at", "run")
        self.stopped = threading.Event()
        self.total = np.zeros(())
        self.kept: Any = None
        self.block: Any = None

    def act(self, stage: str) -> None:
        if self.fault is not None and self.at == stage:
            if "sign" in self.request.options:
                Path(self.request.options["sign"]).touch()
            FAULTS[self.fault](self)
            if "then" in self.request.options:
                FAULTS[self.request.options["then"]](self)

    def bind(self, inputs: Any) -> None:
        self.act("bind")
        self.total = np.asarray(sum(float(tensor.array.sum()) for tensor in inputs))

    def run(self) -> None:
        self.act("run")

    def outputs(self, _result: object) -> dict[str, Any]:
        self.act("outputs")
        return {"total": self.total}

    def facts(self) -> dict[str, Any]:
        return {"seen": self.kept}

    def placement(self) -> tuple[list[Any], str | None]:
        self.act("placement")
        return [], None

    def op_times(self) -> list[Any]:
        return []

    def interrupt(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.act("close")


class FaultAdapter:
    name = "fault"
    modules: tuple[str, ...] = ()

    def probe(self) -> Capability:
        return Capability(self.name, available=True)

    def build(self, request: Any) -> FaultEngine:
        engine = FaultEngine(request)
        engine.act("build")
        return engine


class NeedsMore(FaultAdapter):
    modules = ("fault_adapter_needs_a_module_that_is_not_there",)


class CrashesOnImport(FaultAdapter):
    @property
    def modules(self) -> tuple[str, ...]:  # type: ignore[override]
        os.abort()


class ImportsBig(FaultAdapter):
    @property
    def modules(self) -> tuple[str, ...]:  # type: ignore[override]
        np.full(100_000_000, 1, np.uint8)
        return ()


# ---------------------------------------------------------------------- ways to end


def segfault(_: FaultEngine) -> None:
    ctypes.string_at(0)


def abort(_: FaultEngine) -> None:
    os.abort()


def killed(_: FaultEngine) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nameless_signal(_: FaultEngine) -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 3)


def exit_0(_: FaultEngine) -> None:
    os._exit(0)


def exit_3(_: FaultEngine) -> None:
    os._exit(3)


def system_exit(_: FaultEngine) -> None:
    sys.exit(3)


def raises(engine: FaultEngine) -> None:
    kind = engine.request.options["error"]
    if hasattr(errors, kind):
        raise getattr(errors, kind)("the message", "the hint")
    raise {"MemoryError": MemoryError, "ImportError": ImportError, "RuntimeError": RuntimeError}[
        kind
    ](HOSTILE)


# ----------------------------------------------------------------- ways not to end


def python_loop(_: FaultEngine) -> None:
    while True:
        pass


def c_sleep(_: FaultEngine) -> None:
    """Hold the interpreter lock in C, so that no thread of Python gets a word in."""
    ctypes.PyDLL(None).sleep(3600)


def stubborn(engine: FaultEngine) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    python_loop(engine)


def interruptible(engine: FaultEngine) -> None:
    engine.stopped.wait()
    raise Interruptible("stopped")


def late_refusal(_: FaultEngine) -> None:
    """Take longer than the soft limit in a phase that nothing can stop, then say why it failed."""
    time.sleep(0.6)
    raise errors.Unsupported("the message", "the hint")


# ------------------------------------------------------------------ what is left behind


def grandchild(_: FaultEngine) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])


def daemon(_: FaultEngine) -> None:
    """A daemon as the book has it: forked twice, its own session, pipes still open."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        os._exit(0)


# -------------------------------------------------------------------------- memory


def data_limit(_: FaultEngine) -> None:
    """Allocate as numpy and runtimes do, until the limit refuses."""
    kept = []
    while True:
        kept.append(np.ones(1 << 20))


def touch_100_mb(engine: FaultEngine) -> None:
    if engine.kept is None:
        engine.kept = True
        engine.block = np.full(100_000_000, 1, np.uint8)


def touch_and_free_100_mb(_: FaultEngine) -> None:
    np.full(100_000_000, 1, np.uint8)


# --------------------------------------------------------------- what is said, and where


def flood(_: FaultEngine) -> None:
    block = b"x" * (1 << 20)
    for _turn in range(1024):
        os.write(1, block)
    os.write(2, b"\nthe last words\n")


def chatter(_: FaultEngine) -> None:
    os.write(1, b'OBW1{"type": "result"}\n')
    sys.stdout.write("printed\n")


def last_words(_: FaultEngine) -> None:
    sys.stderr.write(f"{HOSTILE!s}".encode("utf-8", "replace").decode())
    sys.stderr.flush()
    os._exit(3)


def write_to_channel(engine: FaultEngine) -> None:
    """Write onto the result channel, as a library does that takes its descriptor for another."""
    os.write(_channel(), GARBAGE[engine.request.options["garbage"]]())
    time.sleep(0.2)
    os._exit(0)


def _channel() -> int:
    return int(sys.argv[2])


def _frame(text: bytes, blob: bytes = b"", *, checksum: int | None = None, claim: int = 0) -> bytes:
    body = text + blob
    crc = zlib.crc32(body) if checksum is None else checksum
    return struct.pack("<4sIQI", b"OBW1", len(text), claim or len(blob), crc) + body


def _result(nonce: str | None = None, **changes: Any) -> bytes:
    own: str = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["nonce"]
    measurement = {"status": "ok", "error": None, "mode": "facts", **changes}
    document = {"type": "result", "nonce": nonce or own, "measurement": measurement}
    return json.dumps(document).encode()


def _phase(**fields: Any) -> bytes:
    own: str = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["nonce"]
    return _frame(json.dumps({"type": "phase", "nonce": own, **fields}).encode())


GARBAGE: dict[str, Callable[[], bytes]] = {
    "random": lambda: os.urandom(4096),
    "text": lambda: b"WARNING: the library was built for another world\n",
    "truncated": lambda: _frame(_result())[:-5],
    "half-header": lambda: b"OBW1\x07",
    "checksum": lambda: _frame(_result(), checksum=1),
    "nan": lambda: _frame(_result(x=float("nan"))),
    "overflow": lambda: _frame(_result(x="@").replace(b'"@"', b"1e999")),
    "not-json": lambda: _frame(b"{]"),
    "not-an-object": lambda: _frame(b"[1, 2]"),
    "deep": lambda: _frame(b"[" * 100_000),
    "nonce": lambda: _frame(_result(nonce="0" * 16)),
    "two-results": lambda: _frame(_result()) * 2,
    "after-result": lambda: _frame(_result()) + _phase(phase="more", limit_s=1),
    "huge-claim": lambda: _frame(_result(), claim=1 << 60),
    "unknown-type": lambda: _phase(type="greeting"),
    "nameless-phase": lambda: _phase(phase=1, limit_s=1),
    "negative-limit": lambda: _phase(phase="x", limit_s=-(10**400)),
    "no-status": lambda: _frame(_result(status=None)),
    "unknown-status": lambda: _frame(_result(status="fine")),
    "unknown-status-with-error": lambda: _frame(
        _result(status="fine", error=dict.fromkeys(("kind", "message", "hint", "phase"), ""))
    ),
    "error-without-words": lambda: _frame(_result(status="error")),
    "samples-missing": lambda: _frame(_result(samples=9), b"\0" * 8),
}


def result_then_hang(_: FaultEngine) -> None:
    os.write(_channel(), _frame(_result()))
    time.sleep(3600)


def result_then_exit_3(_: FaultEngine) -> None:
    os.write(_channel(), _frame(_result()))
    os._exit(3)


def result_then_segfault(engine: FaultEngine) -> None:
    os.write(_channel(), _frame(_result()))
    segfault(engine)


# ----------------------------------------------------------------------------- others


def work(_: FaultEngine) -> None:
    """Compute for five milliseconds."""
    end_at = time.perf_counter() + 5e-3
    while time.perf_counter() < end_at:
        pass


def change_model(engine: FaultEngine) -> None:
    """The model is replaced while it is read."""
    model = Path(engine.request.model)
    os.utime(model, ns=(0, model.stat().st_mtime_ns + 1))


def look_around(engine: FaultEngine) -> None:
    """Keep what the process sees of itself, for `FaultEngine.facts`."""
    engine.kept = {
        "environment": dict(os.environ),
        "cwd": str(Path.cwd()),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "data": resource.getrlimit(resource.RLIMIT_DATA)[0],
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii")),
        "stdin": (str(Path("/proc/self/fd/0").readlink()), sys.stdin.closed),
        "sys_path": sys.path,
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        "session_is_own": os.getsid(0) == os.getpid() == os.getpgid(0),
        "channel_is_inherited": os.get_inheritable(_channel()),
        "errors_from": errors.__file__,
    }


def keep_request(engine: FaultEngine) -> None:
    engine.kept = dataclasses.asdict(engine.request)


FAULTS = {
    function.__name__: function
    for function in (
        segfault, abort, killed, nameless_signal, exit_0, exit_3, system_exit, raises, python_loop,
        c_sleep, stubborn, interruptible, late_refusal, grandchild, daemon, data_limit,
        touch_100_mb, touch_and_free_100_mb, keep_request, flood, chatter, last_words,
        write_to_channel, result_then_hang, result_then_exit_3, result_then_segfault,
        work, change_model, look_around,
    )
}  # fmt: skip
