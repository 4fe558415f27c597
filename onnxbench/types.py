"""The nouns. Frozen dataclasses for what the program computes with, TypedDicts for documents.

A *document* is what crosses a boundary as JSON (worker → parent, parent → store, store → user).
Its keys are the public record schema (`docs/reference/record.md`): fields may be added, never
renamed. Data is in SI base units with the unit in the name; a null stands beside a reason.

This module is part of the worker bundle: stdlib only, Python ≥ 3.10.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from onnxbench.sources import InputSpec, Preprocess, Published

Status = Literal[
    "ok",
    "wrong-output",
    "fallback",
    "provider-missing",
    "unsupported",
    "refused-input",
    "error",
    "crashed",
    "oom",
    "timeout-soft",
    "timeout-hard",
    "throttled",
    "interrupted",
    "skipped",
]
"""The named states. Every child process and every cell ends in exactly one of them."""

Boundary = Literal["host", "device"]
"""What is timed. ``host``: arrays in host memory in and out, copies and output allocation included.
``device``: inputs and outputs stay bound where the runtime computes (IO-binding)."""

Grade = Literal["stable", "usable", "noisy", "unreliable"]

PHASES = ("import", "load", "first_run", "warmup")
"""The phases that a record tells apart, in the order in which they happen."""

ChildMode = Literal["convert", "facts", "timed", "op-times"]
"""What a child of a cell is for."""

JsonObject = dict[str, Any]


def canonical_json(value: object) -> str:
    """Return the one JSON text of ``value`` that is hashed: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(value: object, length: int = 16) -> str:
    """Return the first ``length`` hex digits of the SHA-256 over ``canonical_json(value)``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


# --------------------------------------------------------------------------- models and artifacts


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of ``models.yaml``, or one file dropped on the command line.

    ``source`` is URI-like: ``file:my.onnx``, ``onnx-light:bvlc_alexnet``, ``timm:resnet50``.
    ``input_range`` overrides the half-open range that random float inputs are drawn from.
    ``weights``: ``pretrained``, ``random``, ``light`` (placeholders) or ``file``; None: not said.
    ``sha256``: what a downloaded file must have. The other fields are those of
    `onnxbench.sources.ExportRequest`.
    """

    id: str
    source: str
    task: str | None = None
    weights: str | None = None
    family: str | None = None
    tags: tuple[str, ...] = ()
    input_range: tuple[float, float] | None = None
    published: tuple[Published, ...] = ()
    inputs: tuple[InputSpec, ...] = ()
    preprocess: Preprocess | None = None
    opset: int | None = None
    weights_from: str | None = None
    arguments: tuple[tuple[str, Any], ...] = ()
    fuse: bool = False
    sha256: str | None = None

    @property
    def scheme(self) -> str:
        """Name of the exporter, the part of ``source`` before the first colon."""
        return self.source.partition(":")[0]

    @property
    def location(self) -> str:
        """What the exporter makes of it, the part of ``source`` after the first colon."""
        return self.source.partition(":")[2]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output as the file declares it.

    ``dtype``: ONNX element type in lower case (``float``, ``int64``, ``bfloat16`` …), or a
    container such as ``sequence(float)``. ``shape``: None when the rank is unknown; a dim is an
    int, the name of a symbol, or None when nothing is known about it. ``index_limit``: for an
    integer input used as an index into a table of known size, the number of rows it may name.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None
    index_limit: int | None = None


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of an artifact; size, mtime and inode let a child see that it was changed."""

    path: str
    role: Literal["model", "external"]
    bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """An ONNX model whose every byte is known: what pre-flight found out about a file.

    ``sha256`` covers the model file and then its external data files in sorted order of their
    relative names. ``opset`` maps domain ("" = ai.onnx) to version; ``operators`` maps
    ``domain::op_type`` (``ai.onnx::Conv``) to the number of nodes, function bodies and subgraphs
    included. ``initializer_bytes`` is the size of all weights, wherever they are stored.
    """

    sha256: str
    files: tuple[ArtifactFile, ...]
    ir_version: int
    opset: dict[str, int]
    producer: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: dict[str, int]
    node_count: int
    initializer_bytes: int
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Absolute path of the model file itself."""
        return self.files[0].path

    @property
    def bytes(self) -> int:
        """Size of the model file and all its external data."""
        return sum(file.bytes for file in self.files)

    @property
    def main_opset(self) -> int | None:
        """Version of the default operator set, None when the model imports none."""
        return self.opset.get("")


# ------------------------------------------------------------------------------------- workload


@dataclass(frozen=True, slots=True)
class InputRecipe:
    """How one input tensor is made. Everything needed to make the same bytes again.

    ``kind``: ``uniform`` (floats and ints in [low, high)), ``constant`` (every element ``low``),
    ``range`` (0, 1, 2 … along the last axis), ``bernoulli`` (bools), ``digits`` (strings of one
    decimal digit) or ``file`` (``member`` of the .npz file ``path``).
    ``sha256`` is that of the file's tensor bytes, None for the generated kinds.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: Literal["uniform", "constant", "range", "bernoulli", "digits", "file"]
    low: float = 0.0
    high: float = 1.0
    seed: int = 0
    path: str | None = None
    member: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class GivenTensor:
    """One array from ``--inputs``: where it lies, and what it is."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    member: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """A reference output that came with the user's inputs: ``path`` (and .npz ``member``)."""

    name: str
    path: str
    member: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Shapes, inputs and what is known about the right answer, for one cell.

    ``notes`` are the guesses that were made ("input_ids: token ids in [0, 30522)"), to be said
    out loud.
    """

    inputs: tuple[InputRecipe, ...]
    batch: int | None
    expected: tuple[ExpectedOutput, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every input."""
        return {recipe.name: recipe.shape for recipe in self.inputs}

    @property
    def expected_key(self) -> str:
        """Digest of the reference outputs, "" without any."""
        return digest([[e.name, e.sha256] for e in self.expected]) if self.expected else ""

    @property
    def key(self) -> str:
        """Digest of the recipes: equal keys mean equal input bytes (paths do not count)."""
        return digest(
            [
                {k: v for k, v in dataclasses.asdict(r).items() if k not in ("path", "member")}
                for r in self.inputs
            ]
        )


@dataclass(frozen=True, slots=True)
class Device:
    """Where a cell runs: ``kind`` cpu, cuda …; ``name`` as the hardware calls itself."""

    kind: str
    name: str
    arch: str
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to measure. Two records are comparable only when their cells are equal.

    ``sha256`` and ``bytes`` are None only for a model that pre-flight refused. ``inputs`` is
    `Workload.key`; ``options`` are the runtime's own settings (``--set``); ``label`` tells
    otherwise equal cells apart.
    """

    model_id: str
    sha256: str | None
    bytes: int | None
    opset: int | None
    weights: str | None
    runtime: str
    device: Device
    shapes: dict[str, tuple[int, ...]]
    batch: int | None
    inputs: str
    precision: str
    threads: int
    boundary: Boundary
    options: dict[str, str] = field(default_factory=dict)
    label: str | None = None

    def document(self) -> JsonObject:
        """Return the cell as it stands in a record."""
        return {
            "model": {
                "id": self.model_id,
                "sha256": self.sha256,
                "bytes": self.bytes,
                "opset": self.opset,
                "weights": self.weights,
                **({} if self.sha256 else {"reason": "pre-flight refused the file"}),
            },
            "runtime": self.runtime,
            "device": dataclasses.asdict(self.device),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "batch": self.batch,
            "inputs": self.inputs,
            "precision": self.precision,
            "threads": self.threads,
            "boundary": self.boundary,
            "options": dict(self.options),
            "label": self.label,
        }

    @property
    def cell_id(self) -> str:
        """Digest of the canonical JSON of `document`."""
        return digest(self.document())


@dataclass(frozen=True, slots=True)
class Sampling:
    """The rules that bound a run. Times in seconds; see docs/method.md for where they come from.

    ``warmup_s``/``warmup_runs``: least warm-up; ``warmup_cap_s``: when to give up on a steady
    state. ``min_time_s``/``min_samples``: least sampling per child. ``processes_min/max``: how
    many children; ``target_half_width``: stop when the relative half-width of the 95 % interval
    is at most this (None: always run ``processes_max``). ``iterations`` fixes the samples of a
    child instead. ``max_samples``: room of the preallocated array.
    """

    warmup_s: float = 0.5
    warmup_runs: int = 3
    warmup_cap_s: float = 10.0
    min_time_s: float = 2.0
    min_samples: int = 64
    max_samples: int = 1 << 20
    iterations: int | None = None
    processes_min: int = 5
    processes_max: int = 10
    target_half_width: float | None = 0.02

    @classmethod
    def quick(cls) -> Sampling:
        """Exactly five short children and no width rule: 70 s for the nine classic networks."""
        return cls(
            warmup_s=0.3,
            warmup_cap_s=2.0,
            min_time_s=0.5,
            min_samples=20,
            processes_min=5,
            processes_max=5,
            target_half_width=None,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. Seconds per phase; bytes of private memory.

    ``build_s``: load and optimise. ``run_s``: one inference. ``steady_s``: warm-up and sampling
    together. On expiry the inference is asked to stop (``timeout-soft``); ``grace_s`` later the
    process group is killed (``timeout-hard``). ``life_s``: when to kill it in any case.
    """

    start_s: float = 60.0
    build_s: float = 120.0
    run_s: float = 60.0
    steady_s: float = 600.0
    grace_s: float = 2.0
    life_s: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a network was exported from, so that the source's own framework can run it.

    ``exporter``: ``package.module:attribute``; ``modules``: what it needs, as in
    `onnxbench.protocols.Exporter`; ``request``: the `onnxbench.sources.ExportRequest.document` that
    decides network and weights.
    """

    exporter: str
    modules: tuple[str, ...]
    request: JsonObject


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell with what a worker needs to run it.

    ``adapter`` is ``package.module:attribute``; ``source`` where the model came from;
    ``runtime_build`` the distributions and versions that make up the runtime; ``worker`` the
    hash of the bundle that measures. ``static``: what the analyzer found at the cell's shapes.
    ``interpreter``: the Python that runs it, "" for this one. ``provider``: the one that every node
    has to run on, "" where the runtime has no such notion; with ``allow_fallback`` it is measured
    all the same, and labelled. ``converter``: the revision of the adapter's converter, None
    without one. ``parity``: whether its outputs are to be compared with the reference's.
    ``origin``: set where the runtime builds the network from its source, not from the file.
    """

    cell: Cell
    artifact: Artifact
    workload: Workload
    adapter: str
    limits: Limits
    source: str = ""
    runtime_build: str = ""
    worker: str = ""
    static: JsonObject | None = None
    interpreter: str = ""
    provider: str = ""
    converter: int | None = None
    allow_fallback: bool = False
    parity: bool = True
    origin: Origin | None = None

    @property
    def build_key(self) -> str:
        """Digest of all that decides what is converted or compiled: model, shapes, build, options.

        Threads and boundary do not count.
        """
        cell = self.cell
        return digest(
            [
                cell.sha256,
                cell.runtime,
                self.runtime_build,
                self.converter,
                cell.precision,
                cell.options,
                {name: list(shape) for name, shape in cell.shapes.items()},
            ],
            length=32,
        )


@dataclass(frozen=True, slots=True)
class Skip:
    """A combination that was asked for and will not be measured, with the reason and a hint."""

    model_id: str
    runtime: str
    status: Status
    reason: str
    hint: str = ""
    detail: tuple[tuple[str, Any], ...] = ()

    def document(self) -> JsonObject:
        """Return the skip as it stands under ``skipped`` in ``run --json``."""
        return {
            "model": self.model_id,
            "runtime": self.runtime,
            "status": self.status,
            "reason": self.reason,
            "hint": self.hint,
            **dict(self.detail),
        }


# ------------------------------------------------------------------------------ runtime adapters


@dataclass(frozen=True, slots=True)
class Capability:
    """What an adapter's cheap probe found, without importing the runtime.

    ``available``: the runtime can be imported by this interpreter. ``version``: of its
    distribution. ``reason``/``hint``: why not, and what to type. ``distribution``: the package
    that provides it. ``possible``: False where no package could help: the wrong system or
    processor, no such device or driver. ``unverified``: what has never been tried with it ("no
    CUDA device has run it yet"), "" if nothing. ``environment``: the isolated environment that it
    was found in, None for this interpreter.
    """

    runtime: str
    available: bool
    version: str | None = None
    distribution: str | None = None
    reason: str = ""
    hint: str = ""
    possible: bool = True
    unverified: str = ""
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What an adapter is told to build.

    ``model``: absolute path of the ONNX file. ``precision``: ``model``, compute in the types that
    the graph declares, or ``native``, the runtime's own default. ``options``: the runtime's own
    settings (``--set``). ``profile``: record placement and kernel times; such an engine may be
    slower, and its times are never used. ``scratch``: a private folder that is deleted with the
    child. ``inputs``/``outputs``: as the file declares them, in its order; ``shapes``: the shape
    that each input will have. ``converted``: the folder that the adapter's ``convert`` has filled,
    None for an adapter without it. ``cache``: a private folder (0700) for what the runtime
    compiles, which outlives the process and belongs to this model, workload and build alone.
    ``origin``: what the file was exported from, only where the adapter's ``wants_origin`` says so.
    """

    model: str
    threads: int
    boundary: Boundary
    precision: str
    options: dict[str, str]
    profile: bool
    scratch: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    converted: str | None = None
    cache: str | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class ConvertRequest:
    """What an adapter is told to convert, once per model, shapes and options.

    ``folder``: an empty folder that takes the files; the working folder is another, private one.
    The other fields are those of `BuildRequest`.
    """

    model: str
    precision: str
    options: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    shapes: dict[str, tuple[int, ...]]
    folder: str


# ------------------------------------------------------------------- documents: what a child says


class ErrorDoc(TypedDict):
    """Why something failed: ``kind`` is a stable code or a signal name, ``phase`` where."""

    kind: str
    message: str
    hint: str
    phase: str | None


class MemoryDoc(TypedDict, total=False):
    """Memory of a child. ``peak_rss_bytes``: highest resident set of the whole process after the
    runtime was imported. ``model_rss_bytes``: the part of it above the resident set right after
    that import: weights, arena and working set. ``weights_bytes``: what loading added to the pages
    of this process alone (USS); ``working_set_bytes``: what running added to that. ``phases``:
    rss_bytes, uss_bytes and pss_bytes at the end of import, load, first_run, steady and close.
    ``device_bytes_source``: who told ``device_bytes`` (`onnxbench.probes.gpu`)."""

    peak_rss_bytes: int | None
    model_rss_bytes: int | None
    weights_bytes: int | None
    working_set_bytes: int | None
    phases: dict[str, JsonObject]
    device_bytes: int | None
    device_bytes_source: str
    imported_rss_bytes: int | None
    uss_bytes: int | None
    pss_bytes: int | None
    reason: str
    device_reason: str


class LoadDoc(TypedDict, total=False):
    """The machine while samples were taken, read by the child before and after its loop.

    ``foreign_cores``: mean number of cores that other processes kept busy. ``steal_share``: share
    of CPU time that the hypervisor took. ``own_cores``: cores the child itself used.
    """

    wall_ns: int
    own_cores: float
    foreign_cores: float | None
    steal_share: float | None
    swapped_in_pages: int | None
    involuntary_switches: int | None
    throttle_events: int | None
    clock_hz_before: int | None
    clock_hz_after: int | None
    reason: str


class PlacedDoc(TypedDict):
    """What every `PlacementDoc` holds."""

    provider: str
    nodes: int
    node_share: float
    time_share: float | None


class PlacementDoc(PlacedDoc, total=False):
    """Nodes and time on one provider; shares are of the whole graph, None when not known.

    ``operators``: nodes on it by operator, ``Conv`` or ``ai.onnx.ml::Binarizer``.
    ``time_reason``: why ``time_share`` is None.
    """

    operators: dict[str, int]
    time_reason: str


class ParityDoc(TypedDict, total=False):
    """Outputs against a reference (``self``, ``test-data``, ``onnxruntime-cpu``,
    ``onnx-reference``): largest errors, and what was found.

    ``nonfinite``: output elements that are NaN or infinite; ``deterministic``: two runs on the
    same inputs gave the same bytes. ``scale``: largest |reference|; ``tolerance``: most that
    ``max_abs / scale`` may be; ``declared``: the type of most of the graph's arithmetic;
    ``cosine``: of the angle between the outputs, the least over them;
    ``input_sensitive``: other inputs gave other outputs, None where the reference's are too near to
    one another to tell; ``max_rel_channel``, ``compared``: see `onnxbench.worker.agreement`.
    """

    reference: str | None
    max_abs: float | None
    max_rel: float | None
    top1_agree: float | None
    top1_reason: str
    passed: bool | None
    reason: str
    nonfinite: int
    deterministic: bool
    outputs: list[JsonObject]
    scale: float | None
    tolerance: float
    cosine: float | None
    input_sensitive: bool | None
    max_rel_channel: float
    compared: int
    declared: str


class OpTime(TypedDict):
    """Time of one operator over a profiled run. ``share`` of the summed kernel time."""

    name: str
    op: str
    provider: str
    ns: int
    share: float
    calls: int


class Measurement(TypedDict, total=False):
    """What one child process reports: raw, no statistics. Samples travel beside it as int64 ns.

    ``mode``: ``convert``, ``reference`` or ``facts`` (never timed), ``timed`` or ``op-times``.
    ``phases_ns``: import, load, first_run, warmup, steady (and inputs, bind). ``stop``: what ended
    the sampling loop.
    """

    mode: str
    status: Status
    error: ErrorDoc | None
    phases_ns: dict[str, int]
    warmup: JsonObject
    stop: str
    samples: int
    memory: MemoryDoc
    load: LoadDoc
    outputs_sha256: str
    outputs_sha256_after: str
    inputs_sha256: str
    inputs_generator: str
    parity: ParityDoc
    facts: JsonObject
    placement: list[PlacementDoc]
    precision_effective: str | None
    op_times: list[OpTime]
    environment: JsonObject
    notes: list[str]
    conversion: JsonObject
    fallback: str
    threads_busy: int | None


@dataclass(frozen=True, slots=True)
class ChildResult:
    """One finished child process, as the parent saw it.

    ``measurement`` is None when nothing valid came over the result channel. ``samples``: little-
    endian int64 nanoseconds. ``wall_ns``: from spawn to reaped, by the parent's clock. ``log``:
    sanitized tail of stdout and stderr. ``started``: UTC, ISO 8601.
    """

    status: Status
    error: ErrorDoc | None
    measurement: Measurement | None
    samples: bytes
    wall_ns: int
    exit_code: int | None
    signal: str | None
    log: str
    started: str


@dataclass(frozen=True, slots=True)
class Child:
    """A child process as the store keeps it: which cell, which block, and its result."""

    cell_id: str
    block: int
    mode: ChildMode
    result: ChildResult


# ----------------------------------------------------------------------- documents: what users get


class LatencyDoc(TypedDict, total=False):
    """Latency of one inference. See docs/method.md for each statistic."""

    median_ns: float | None
    ci95_ns: list[float] | None
    ci95_reason: str
    min_ns: int | None
    mean_ns: float | None
    p90_ns: int | None
    p95_ns: int | None
    p99_ns: int | None
    p90_reason: str
    p95_reason: str
    p99_reason: str
    iqr_over_median: float | None
    outlier_share: float | None
    samples: int
    samples_per_process: list[int]
    processes: int
    process_medians_ns: list[float]
    reason: str


class VerdictDoc(TypedDict):
    """How far the number can be believed. ``reasons`` are ``code: sentence`` strings."""

    grade: Grade | None
    reasons: list[str]
    advice: str


class Record(TypedDict, total=False):
    """One measured cell: what ``--json``, ``show`` and exports give. Schema 1."""

    schema: int
    record_id: str
    run_id: str
    created: str
    status: Status
    error: ErrorDoc | None
    cell_id: str
    cell: JsonObject
    latency: LatencyDoc
    throughput_per_s: float | None
    throughput_reason: str
    phases_ns: dict[str, int | None]
    memory: MemoryDoc
    placement: list[PlacementDoc]
    precision_effective: str | None
    conversion: JsonObject
    fallback: str
    effective: JsonObject
    inputs: JsonObject
    artifact: JsonObject
    load: list[JsonObject]
    parity: ParityDoc
    energy: JsonObject
    static: JsonObject
    derived: JsonObject
    verdict: VerdictDoc
    op_times: list[OpTime]
    hot_spots: JsonObject
    notes: list[str]
    sampling: JsonObject
    stop: str
    environment: JsonObject
    tool: JsonObject
    reproduce: str
