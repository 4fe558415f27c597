"""What a plug-in must be. Ours go through the same door as anybody else's.

The core finds exporters and runtimes through the entry-point groups ``onnxbench.exporters`` and
``onnxbench.runtimes``; it never imports them by name.

This module is part of the worker bundle: stdlib and numpy only, Python ≥ 3.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from onnxbench.sources import ExportRequest, SourceCounts, SourceFacts, Written
    from onnxbench.types import (
        BuildRequest,
        Capability,
        ChildResult,
        ConvertRequest,
        JsonObject,
        Limits,
        ModelSpec,
        OpTime,
        PlacementDoc,
    )

    Array = np.ndarray[Any, np.dtype[Any]]


class Tensor(Protocol):
    """One input as a runtime takes it. ``dtype`` is the ONNX name; ``array`` holds the values.

    Types that numpy lacks travel as raw bits: bfloat16 as uint16, float8 as uint8.
    """

    @property
    def name(self) -> str:
        """Name of the input in the graph."""

    @property
    def dtype(self) -> str:
        """ONNX element type in lower case."""

    @property
    def array(self) -> Array:
        """The values, C-contiguous."""


@runtime_checkable
class Engine(Protocol):
    """A model that is loaded and ready. One engine lives in one process.

    ``run`` is the hot path: it executes one inference on the bound inputs and returns when the
    outputs are complete, or, if ``sync`` is not None, when the work is queued; then ``sync()``
    waits for it and belongs to the timed call. It must not allocate or convert anything that the
    boundary does not ask for.
    """

    run: Callable[[], object]
    sync: Callable[[], object] | None

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Take the inputs; called again, take others of the same shapes.

        Raises InputRefused, naming the input that does not fit.
        """

    def outputs(self, result: Any) -> Mapping[str, Array]:
        """Return the outputs by the names and in the shapes and types of the ONNX file.

        ``result``: what the last ``run`` returned. Nothing is run for them: what is compared is
        what the timed call computed. Never timed, but a call that takes longer than the run itself
        does is taken for work that the run left undone.
        """

    def facts(self) -> JsonObject:
        """Return what the runtime says of itself, never what it was told.

        ``runtime_version``; ``options``: settings as they took effect; ``threads_control``:
        ``exact``, or why the number of threads cannot be told; ``spinning``: whether idle threads
        wait busily (``True``, ``False``, or a text where it is not known); and whatever else
        explains the numbers.
        """

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return nodes and time per provider, and the effective precision (None: not known).

        The precision is that of most of the arithmetic: ``float32``, ``float16``, ``bfloat16``,
        ``tf32``, ``int8`` …; where values are stored narrower than they are computed, both:
        ``float32 (float16 storage)``; what is computed in another is told with its share:
        ``float32 with 12 % bfloat16`` (`onnxbench.adapting.mainly`). Called once, last, and only
        on an engine that was built with ``profile``.
        """

    def op_times(self) -> list[OpTime]:
        """Return time per operator over all runs so far; after `placement`, same condition."""

    def interrupt(self) -> None:
        """Ask a running inference to stop. Called from another thread; may do nothing.

        What it does not stop, the parent kills two seconds later.
        """

    def close(self) -> None:
        """Release everything."""


class RuntimeAdapter(Protocol):
    """A runtime behind the entry-point group ``onnxbench.runtimes``.

    ``modules`` are imported by the worker, one after another, as the *import* phase. It may also
    have these attributes, all read before anything is imported:

    ``distributions``: packages whose versions name the runtime's build, the first one its own.
    ``environment``: the name that ``onnxbench install`` knows an environment by which holds them.
    ``provider``: the provider of `Engine.placement` that every node has to run on; without it no
    node is asked where it ran. ``build_s``: seconds that loading may take where two minutes are not
    enough. ``only_named``: True for what cannot run without a setting, so that ``--runtime all``
    leaves it out.

    ``device``: what computes, so that no record names the processor in its place: ``cpu`` (the
    default), ``cuda``, ``rocm``, ``gpu`` or ``npu`` of whatever make, ``any`` where that is up to
    the runtime. ``device_for(options)``: the same under these options, where they choose.
    ``emulated``: True where an emulator answers for that device; such rows get no ratio.

    ``wants_origin(options)``: True where, under these options, it runs the network as its source
    builds it. `BuildRequest.origin` is then what the file was exported from, the exporters are part
    of the bundle, and the user's trained weights are in reach; a model that is a file is refused.
    """

    name: str
    modules: tuple[str, ...]

    def probe(self) -> Capability:
        """Say whether this interpreter can use the runtime. Cheap: imports nothing heavy."""

    def build(self, request: BuildRequest) -> Engine:
        """Load the model: the *load* phase. Raises AdapterError."""


@runtime_checkable
class Converting(Protocol):
    """A runtime adapter whose runtime reads no ONNX: it converts the file first.

    ``revision`` is to be raised whenever what is written changes. What it wrote is kept, by content
    of the model and versions of the packages, and is believed only while the outputs of what is
    built from it are right.
    """

    revision: int

    def convert(self, request: ConvertRequest) -> JsonObject:
        """Write the runtime's own files into ``request.folder``; return what there is to say of it.

        Runs in a process of its own, which a converter may take down with it. Raises Unsupported.
        """


@runtime_checkable
class FileSource(Protocol):
    """Names ONNX files that exist already, behind the entry-point group ``onnxbench.exporters``."""

    name: str

    def locate(self, spec: ModelSpec, folder: Path) -> Path:
        """Return the ONNX file of ``spec``; ``folder`` is for one that has to be fetched.

        Raises ExportError or UsageError.
        """


@runtime_checkable
class Exporter(Protocol):
    """Turns models of one framework into ONNX, behind the group ``onnxbench.exporters``.

    The core makes one instance to read the attributes, so importing the module must be cheap;
    `load` is called in a child process whose interpreter has ``modules``.

    ``revision``: to be raised whenever what it writes changes, for unchanged entries of the
    catalogue are not exported again. ``modules``: what must be importable. ``distributions``:
    packages whose versions decide what is written. ``environment``: the name that
    ``onnxbench install`` knows an environment by which has them all; "" if there is none.
    An exporter may also have ``files(location) -> Sequence[Path]``: the files beside installed
    packages, such as the user's own, whose contents decide what is written.
    """

    name: str
    revision: int
    environment: str

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of importable modules."""

    @property
    def distributions(self) -> tuple[str, ...]:
        """Names of distributions, as pip knows them."""

    def load(self, request: ExportRequest) -> Source:
        """Build the network with its weights. Raises ExportError."""


class Source(Protocol):
    """A network in the framework that it comes from, ready to run and to be written.

    It may also have ``module``: the network as the framework calls it, a ``torch.nn.Module`` that
    takes the inputs by position, in the order of `facts`, and whose tensors, as they stand in what
    it returns, are the outputs. A runtime of the same framework can then measure it.
    """

    @property
    def facts(self) -> SourceFacts:
        """What it is."""

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Return the outputs for ``inputs``, both in the order of `facts`."""

    def counts(self) -> SourceCounts | None:
        """Return what running one item costs, None where the framework cannot tell."""

    def write(self) -> Written:
        """Write the request's ``MODEL_FILE`` and, beside it, ``DATA_FILE``. Raises ExportError."""


class Target(Protocol):
    """A place where workers run: a host and a Python interpreter there."""

    name: str

    def run_worker(self, request: JsonObject, limits: Limits) -> ChildResult:
        """Run one worker process to its end and say how it ended. Never raises for its faults."""
