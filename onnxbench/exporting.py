"""From models of the catalogue to verified ONNX files: what is there, what has to be made.

Whatever goes wrong with a model is a row with a status and a reason; nothing is kept of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from onnxbench import environments, provenance, registry
from onnxbench.artifacts import ArtifactFolder, Kept
from onnxbench.conversion import PASS_DISTRIBUTIONS, Bounds, Conversion, Failed, inspected
from onnxbench.errors import ExportError, OnnxBenchError, UsageError
from onnxbench.fetching import located
from onnxbench.protocols import Exporter, FileSource
from onnxbench.sources import ExportRequest, WeightsChoice
from onnxbench.types import Origin, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from onnxbench.environments import Interpreter
    from onnxbench.types import ErrorDoc, JsonObject, ModelSpec, Status

JUDGE_DISTRIBUTION = "onnxruntime"
SIMPLIFIERS = tuple(PASS_DISTRIBUTIONS.values())

LIMIT_S = 1800.0
"""Seconds for one phase of one model, where nobody says otherwise."""

POLL_S = 0.2
"""How soon a signal is seen that came to another thread, in seconds."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to export. ``weights``: None leaves it to the model. ``fresh``: also what is there.

    ``limit_s``: most that one phase of one model may take. ``threads``: of each child.
    """

    weights: WeightsChoice | None = None
    opset: int | None = None
    keep_bn: bool = False
    simplify: bool = False
    seed: int = 0
    fresh: bool = False
    limit_s: float = LIMIT_S
    memory_bytes: int | None = None
    threads: int = 1

    @property
    def rewrites(self) -> bool:
        """Whether files that exist already have to be written anew."""
        return self.simplify or self.opset is not None


@dataclass(frozen=True, slots=True)
class Exported:
    """How one model fared. ``kept`` is None unless ``status`` is ok; ``cached``: it was there.

    ``seconds`` is what this call took; ``found`` what is known of an export that failed.
    """

    spec: ModelSpec
    status: Status
    error: ErrorDoc | None
    kept: Kept | None
    cached: bool
    seconds: float
    found: JsonObject = field(default_factory=dict)

    def document(self) -> JsonObject:
        """Return the row as it stands under ``artifacts`` in ``export --json``."""
        told = self.kept.sidecar if self.kept is not None else self.found
        graph = told.get("counts", {}).get("graph", {})
        return {
            "id": self.spec.id,
            "source": self.spec.source,
            "exporter": self.spec.scheme,
            "status": self.status,
            "error": self.error,
            "cached": self.cached,
            "path": None if self.kept is None else str(self.kept.path),
            "seconds": round(self.seconds, 3),
            **dict.fromkeys(("sha256", "bytes", "weights", "opset", "parity")),
            **{name: graph.get(name) for name in ("nodes", "params", "macs")},
            **{key: value for key, value in told.items() if key not in ("schema", "id", "source")},
        }


@dataclass(frozen=True, slots=True)
class Located:
    """A model's file, what its weights are, and what it was exported from: None for a file."""

    path: Path
    weights: str | None
    origin: Origin | None = None


class NotExported(ExportError):
    """A model that was to be measured or analyzed has no artifact; ``status`` says how it fared."""

    def __init__(self, done: Exported) -> None:
        assert done.error is not None
        super().__init__(f"{done.spec.id}: {done.error['message']}", done.error["hint"])
        self.kind = done.error["kind"]
        self.status = done.status


class Exports:
    """Exports models under one set of options, into ``folder``: by default the user's own.

    ``say`` is told which model begins to be converted: that takes its time.
    """

    def __init__(
        self,
        options: Options | None = None,
        folder: ArtifactFolder | None = None,
        say: Callable[[ModelSpec], None] | None = None,
    ) -> None:
        self._folder = folder or ArtifactFolder(environments.home() / "artifacts")
        self._options = options or Options()
        self._say = say
        self._exporters: dict[str, object] = {}
        self._stop: Event | None = None

    def all_of(
        self, specs: Sequence[ModelSpec], jobs: int, say: Callable[[ModelSpec], None]
    ) -> Generator[Exported]:
        """Export ``specs``, ``jobs`` at a time; yield each as it ends. ``say``: one begins.

        On KeyboardInterrupt, or when the caller stops, what runs is ended first.
        """
        stop = self._stop = Event()

        def one(spec: ModelSpec) -> Exported:
            if stop.is_set():
                raise KeyboardInterrupt
            say(spec)
            return self.export(spec)

        pool = ThreadPoolExecutor(max_workers=jobs)
        running = [pool.submit(one, spec) for spec in specs]
        try:
            waiting = set(running)
            while waiting:
                # Now and then awake: a signal that another thread was given is seen only then.
                ended, waiting = wait(waiting, POLL_S, FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            _end(pool, running, stop)

    def export(self, spec: ModelSpec) -> Exported:
        """Export one model, or find it exported already. Never raises for the model's faults."""
        began = time.monotonic()

        def ended(
            status: Status, error: ErrorDoc | None, kept: Kept | None = None, **found: Any
        ) -> Exported:
            cached = bool(found.pop("cached", False))
            seconds = time.monotonic() - began
            return Exported(spec, status, error, kept, cached, seconds, found)

        try:
            kept, cached = self._kept(spec)
        except Failed as failed:
            return ended(failed.result.status, failed.result.error, **failed.found)
        except OnnxBenchError as error:
            return ended("error", _document(error))
        except OSError as error:
            message = f"{spec.id} cannot be kept: {error}"
            hint = "free disk space, or name another folder with ONNXBENCH_HOME"
            return ended("error", _document(ExportError(message, hint)))
        except Exception as error:  # noqa: BLE001 - a plug-in's own code; the others go on
            message = f"{spec.id}: {type(error).__name__}: {error}"
            return ended(
                "error", _document(ExportError(message, "report it to the plug-in's author"))
            )
        return ended("ok", None, kept, cached=cached)

    def locate(self, spec: ModelSpec, scratch: Path) -> Located:
        """Return the ONNX file of ``spec`` and what it is; export it if need be.

        A file of the user's is returned unread. Raises UsageError for an unknown source or a
        missing file, ExportError otherwise.
        """
        exporter = self._exporter(spec.scheme)
        if isinstance(exporter, FileSource) and spec.sha256 is None:
            return Located(located(exporter, spec, scratch, self._bounds()), spec.weights)
        done = self.export(spec)
        if done.kept is None:
            assert done.error is not None
            if done.error["kind"] == UsageError.kind:
                raise UsageError(done.error["message"], done.error["hint"])
            raise NotExported(done)
        return Located(done.kept.path, done.kept.sidecar["weights"], self._origin(spec, exporter))

    def _origin(self, spec: ModelSpec, exporter: object) -> Origin | None:
        """Return what ``spec`` is exported from, also when its file was there already."""
        if isinstance(exporter, FileSource) or not isinstance(exporter, Exporter):
            return None
        reference = registry.find_exporter(spec.scheme).value
        return Origin(reference, tuple(exporter.modules), self._request(spec).document())

    def _exporter(self, scheme: str) -> object:
        # Reading all entry points takes 10 ms, which a catalogue of 200 shall not pay 200 times.
        if scheme not in self._exporters:
            self._exporters[scheme] = registry.load(registry.find_exporter(scheme))
        return self._exporters[scheme]

    def _kept(self, spec: ModelSpec) -> tuple[Kept, bool]:
        exporter = self._exporter(spec.scheme)
        if isinstance(exporter, FileSource):
            kept, cached = self._kept_file(exporter, spec)
            if not self._options.rewrites:
                return kept, cached
            spec = replace(spec, source=f"onnx:{kept.path}")
            rewriter = self._exporter("onnx")
            return self._converted(rewriter, spec, kept.sha256, kept.sidecar["weights"])
        if not isinstance(exporter, Exporter):
            raise UsageError(
                f"plug-in {spec.scheme} is no exporter: it lacks what docs/how-to/plug-in.md names",
                "onnxbench list exporters",
            )
        return self._converted(exporter, spec, files_state(exporter, spec))

    def _kept_file(self, exporter: FileSource, spec: ModelSpec) -> tuple[Kept, bool]:
        """Return a file that needs no conversion: one that is there, or one to be fetched."""
        key = digest([spec.source, spec.sha256]) if spec.sha256 else ""
        if key and not self._options.fresh and (kept := self._folder.find(key)):
            return kept, True
        with self._folder.staging() as staged:
            model = located(exporter, spec, staged, self._bounds())
            if not key:
                status = model.stat()
                key = digest([spec.source, str(model), status.st_size, status.st_mtime_ns])
                if not self._options.fresh and (kept := self._folder.find(key)):
                    return kept, True
            candidate = inspected(spec, model, self._bounds(), {})
            assert candidate.artifact is not None
            sidecar = provenance.artifact(candidate) | {
                "exporter": spec.scheme,
                "weights": spec.weights,
                "parity": None,
                "parity_reason": "nothing was converted",
            }
            if model.is_relative_to(staged):
                return self._folder.keep(staged, key, candidate.artifact.sha256, sidecar), False
            paths = [Path(file.path) for file in candidate.artifact.files]
            sidecar["sha256"] = candidate.artifact.sha256
            return self._folder.note(model, paths, key, sidecar), False

    def _converted(
        self, exporter: Any, spec: ModelSpec, state: object, weights: str | None = None
    ) -> tuple[Kept, bool]:
        """Return what ``exporter`` makes of ``spec``, or has made; ``weights``: what they are."""
        interpreter = environments.interpreter_for(exporter, (JUDGE_DISTRIBUTION, *SIMPLIFIERS))
        request = self._request(spec)
        key = self._key(exporter, request, interpreter, state)
        if not self._options.fresh and (kept := self._folder.find(key)):
            return kept, True
        self._check_tools(interpreter)
        if self._say is not None:
            self._say(spec)
        with self._folder.staging() as staged:
            out = staged / "out"
            out.mkdir()
            request = replace(request, folder=str(out))
            sha256, sidecar = Conversion(
                spec, exporter, interpreter, request, self._passes(), self._bounds()
            ).run(staged)
            sidecar["weights"] = weights or sidecar["weights"]
            return self._folder.keep(out, key, sha256, sidecar), False

    def _check_tools(self, interpreter: Interpreter) -> None:
        """Raise ExportError now for what would be missing at the end."""
        if find_spec("onnxruntime") is None and JUDGE_DISTRIBUTION not in interpreter.versions:
            message = "nothing here can verify an export: ONNX Runtime is not installed"
            raise ExportError(message, "pip install 'onnxbench[cpu]'")
        lacking = [name for name in self._simplifiers() if name not in interpreter.versions]
        if lacking:
            raise ExportError(
                f"--simplify needs {lacking[0]} in {interpreter.path}",
                f"{interpreter.path} -m pip install {lacking[0]}, or leave --simplify out",
            )

    def _request(self, spec: ModelSpec) -> ExportRequest:
        weights = self._options.weights or default_weights(spec)
        if weights == "pretrained" and spec.weights == "random":
            raise ExportError(
                f"{spec.id} has no published weights that its source could load",
                "--weights random exports the architecture",
            )
        return ExportRequest(
            id=spec.id,
            location=spec.location,
            folder="",
            weights=weights,
            weights_from=spec.weights_from,
            seed=self._options.seed,
            opset=self._options.opset or spec.opset,
            keep_bn=self._options.keep_bn,
            fuse=spec.fuse,
            inputs=spec.inputs,
            preprocess=spec.preprocess,
            arguments=spec.arguments,
        )

    def _key(
        self, exporter: Exporter, request: ExportRequest, interpreter: Interpreter, state: object
    ) -> str:
        """Return the digest of everything that decides which bytes are written."""
        wanted = request.document()
        del wanted["id"]
        names = (*exporter.distributions, *self._simplifiers())
        versions = {name: interpreter.versions.get(name) for name in names}
        return digest(
            {
                "exporter": [exporter.name, exporter.revision],
                "request": wanted,
                "versions": versions,
                "passes": self._passes(),
                "state": state,
            },
            32,
        )

    def _passes(self) -> list[str]:
        return ["simplify"] if self._options.simplify else []

    def _simplifiers(self) -> list[str]:
        return [PASS_DISTRIBUTIONS[name] for name in self._passes()]

    def _bounds(self) -> Bounds:
        options = self._options
        return Bounds(options.limit_s, options.memory_bytes, options.threads, self._stop)


def default_weights(spec: ModelSpec) -> WeightsChoice:
    """Return which weights ``spec`` is exported with when nobody says."""
    return "random" if spec.weights == "random" else "pretrained"


def files_state(exporter: Exporter, spec: ModelSpec) -> list[str]:
    """Return the hashes of the files, beside installed packages, that decide what is written."""
    files = getattr(exporter, "files", None)
    found: Sequence[Path] = files(spec.location) if files is not None else ()
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in found]


def _end(pool: ThreadPoolExecutor, running: Sequence[Future[Exported]], stop: Event) -> None:
    """End what runs, and wait for that; it takes no longer for another Ctrl-C."""
    while True:
        # `Thread.join` is not used: interrupted, it takes the thread for ended (CPython 3.11).
        with contextlib.suppress(KeyboardInterrupt):
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            left = [future for future in running if not future.cancelled()]
            while wait(left, POLL_S).not_done:
                pass
            return


def _document(error: OnnxBenchError) -> ErrorDoc:
    return {
        "kind": error.kind, "message": error.message, "hint": error.hint, "phase": "export"
    }  # fmt: skip
