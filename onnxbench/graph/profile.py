"""What the analyzer finds in a graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.dims import Count, Dim

Convention = Literal["pure", "fvcore", "paddle"]
CONVENTIONS: tuple[Convention, ...] = ("pure", "fvcore", "paddle")

NodeStatus = Literal["exact", "bounded", "unknown"]


@dataclass(frozen=True, slots=True)
class Binding:
    """Sizes that the user gives to open dims.

    ``batch``: of the first axis of inputs whose first dim is open. ``dims``: by the file's own
    dim names. ``shapes``: whole shapes by input name; they override the file's.
    """

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signature:
    """An input or output of the model: dtype name, and shape after binding (None = unknown)."""

    name: str
    dtype: str
    shape: tuple[Dim | None, ...] | None


class NodeProfile(NamedTuple):
    """The cost of one node over a whole inference.

    ``name``: the node's own, else that of its first output.
    ``times``: how often it runs (inside loops; 1 elsewhere, 0 in a branch of If that is not the
    costlier one); all other figures are already multiplied by it. ``macs``: in the convention asked
    for. ``flops``: 2 · pure MACs + elementwise work. ``params``: elements of the weights that this
    node is the first to use. ``bytes_read``/``bytes_written``: of tensors, each once, weights at
    their stored type, views 0. ``precision``: types that are multiplied (``fp32``,
    ``int4×fp16``); "" where there are no MACs. ``status``: ``unknown`` has None figures and a
    ``reason``; ``bounded`` figures are the upper bound, ``…_least`` the lower; the row of an If or
    Loop holds what its subgraphs leave open.
    ``module``: path of the module it belongs to, outermost first. ``where``: the loop or branch
    around it, "" for the main graph. ``inputs``, ``outputs``: names of the tensors that it takes
    and makes, without constants.
    """

    name: str
    op: str
    domain: str
    kind: str
    module: tuple[str, ...]
    where: str
    times: Count
    macs: Count | None
    macs_least: Count | None
    flops: Count | None
    flops_least: Count | None
    transcendentals: Count | None
    params: int
    weight_bytes: int
    bytes_read: Count | None
    bytes_written: Count | None
    precision: str
    status: NodeStatus
    reason: str = ""
    shapes_out: tuple[tuple[Dim | None, ...] | None, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameters:
    """Constants of a graph, each stored object once (rules W1 to W7).

    Elements: ``params`` of weights, ``buffers`` of batch-norm statistics and masks,
    ``other`` of settings (shapes, axes, scales, zero points), ``dead`` of what no node uses.
    ``…_bytes``: what these take at the types in which they are stored. ``tied``: weights that more
    than one node uses. ``sparse_stored``: elements that sparse weights really store (their
    ``params`` are logical), None without sparse weights. ``by_dtype``: ``params`` by the name of
    their type. ``unsized``: constants whose shape is not known and that no sum includes.
    """

    params: int
    buffers: int
    other: int
    dead: int
    weight_bytes: int
    buffer_bytes: int
    other_bytes: int
    dead_bytes: int
    tied: int
    sparse_stored: int | None
    by_dtype: Mapping[str, int]
    unsized: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of activations at batch and dims as bound.

    ``no_reuse``: sum of all of them. ``liveness``: the largest sum alive at once, views aliased.
    ``in_place``: the same when elementwise operators overwrite their input. ``fused``: a lower
    bound for every order of the nodes, when runtimes fuse neighbours and keep only what they must.
    ``node``: the node that sets the ``liveness`` peak. All None, with a ``reason``, while a dim is
    open.
    """

    no_reuse_bytes: int | None
    liveness_bytes: int | None
    in_place_bytes: int | None
    fused_bytes: int | None
    node: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KvCache:
    """The key-value cache of a decoder: ``bytes_per_token`` for one sequence, over all layers."""

    bytes_per_token: int | None
    layers: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UnknownOperator:
    """Nodes of one operator that could not be counted, and why (the first reason met)."""

    op: str
    domain: str
    nodes: int
    reason: str
    names: tuple[str, ...]
    bytes: int | None


@dataclass(frozen=True, slots=True)
class GraphProfile:
    """Everything that the analyzer knows of one graph under one binding.

    ``macs`` (in ``convention``), ``flops`` (2 · pure MACs + elementwise), ``transcendentals``:
    whole inference, counts or formulas. ``macs_least``, ``flops_least``: lower bounds, equal to
    the totals when nothing is merely bounded. ``exact``: no node is bounded or unknown; otherwise
    totals leave out the unknown nodes and are a lower bound as far as these go. ``macts``: output
    elements of the contraction operators, as timm counts them. ``preparation_macs``: of arithmetic
    on constants, which a runtime does once: part of ``macs`` only in conventions of tools that run
    a network's modules. ``compulsory_bytes``: weights that are read, inputs and outputs, each
    once: what even a runtime that fuses everything has to move. ``dim_names``: what the file calls
    a dim whose symbol had to differ.
    """

    path: str
    sha256: str | None
    producer: str
    ir_version: int
    opset: Mapping[str, int]
    binding: Binding
    convention: Convention
    inputs: tuple[Signature, ...]
    outputs: tuple[Signature, ...]
    symbols: tuple[str, ...]
    macs: Count
    macs_least: Count
    flops: Count
    flops_least: Count
    transcendentals: Count
    macs_by_precision: Mapping[str, Count]
    macts: Count
    bytes_read: Count
    bytes_written: Count
    parameters: Parameters
    memory: Memory
    kv_cache: KvCache | None
    nodes: tuple[NodeProfile, ...]
    node_count: int
    unknown: tuple[UnknownOperator, ...]
    exact: bool
    coverage: float
    preparation_macs: Count = 0
    compulsory_bytes: Count = 0
    dim_names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
