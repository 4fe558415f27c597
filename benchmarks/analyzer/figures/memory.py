"""The interval that `onnxbench analyze` predicts for the memory of activations, against what ONNX
Runtime's resident set grows by in a run (`benchmarks/analyzer/ort_memory.py`), at batch 1 with all
graph optimizations. The prediction is [fused, liveness]: a lower bound for runtimes that fuse
neighbours, and what a runtime needs that runs the file as it stands. It is compared with runs in
which every value has a place of its own, freed after its last reader. By default ONNX Runtime plans
places ahead and keeps one for a later value of the same shape, which takes more in many networks:
that is the column "by default". LRN keeps squares and scales beside its values (onnxruntime,
core/providers/cpu/nn/lrn.cc): twice the largest input of one is taken off as scratch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.analyzer import light_networks, zoo
from benchmarks.analyzer.ort_memory import growth
from benchmarks.figure import Figure, progress
from onnxbench.graph.analysis import analyze
from onnxbench.graph.profile import Binding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnxbench.graph.profile import GraphProfile
    from onnxbench.types import JsonObject

RESOLUTION_BYTES = 256 * 1024
"""Linux adds up the resident set in batches of up to 64 pages."""

HEADER = (
    "network", "fused", "in place", "liveness", "scratch", "growth", "by default", "inside",
)  # fmt: skip

LEAST_SHARE = 0.9
MOST_RATIO = 3.0

ZOO = (
    "torchvision-convnext_tiny-224", "torchvision-densenet121-224",
    "torchvision-efficientnet_b0-224", "torchvision-googlenet-224",
    "torchvision-mnasnet1_0-224", "torchvision-mobilenet_v2-224",
    "torchvision-mobilenet_v3_small-224", "torchvision-regnet_y_400mf-224",
    "torchvision-resnet18-224", "torchvision-resnet50-224", "torchvision-shufflenet_v2_x1_0-224",
    "torchvision-squeezenet1_1-224", "torchvision-swin_t-224", "torchvision-vit_b_16-224",
    "timm-caformer_s36-224", "timm-edgenext_small-256", "timm-nf_resnet50-256",
    "timm-poolformer_s12-224", "timm-sequencer2d_s-224", "timm-shvit_s4-256",
    "timm-xcit_tiny_12_p16_224-224",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """Bytes of one network. ``own``, ``planned``: growth with a place for each value, and with
    ONNX Runtime's plan; a text says why there is none."""

    name: str
    fused: int
    in_place: int
    liveness: int
    scratch: int
    own: int | str
    planned: int | str
    reason: str = ""

    @property
    def bracketed(self) -> bool:
        """Whether the growth lies in the predicted interval, as exactly as it can be measured."""
        return self._holds(self.own)

    @property
    def bracketed_by_default(self) -> bool:
        """The same of the growth with ONNX Runtime's plan."""
        return self._holds(self.planned)

    def _holds(self, growth_bytes: int | str) -> bool:
        return (
            isinstance(growth_bytes, int)
            and self.fused - RESOLUTION_BYTES <= growth_bytes
            and growth_bytes - self.scratch <= self.liveness + RESOLUTION_BYTES
        )

    @property
    def ratio(self) -> float:
        """Upper end of the interval over the lower one."""
        return self.liveness / self.fused if self.fused else float("inf")

    def row(self) -> tuple[str, ...]:
        """Return a row under `HEADER`."""
        sizes = (self.fused, self.in_place, self.liveness, self.scratch, self.own, self.planned)
        return (self.name, *map(_shown, sizes), self.reason or ("yes" if self.bracketed else "no"))


def measure(tiny: bool) -> Figure:
    return judge([_compared(name, path) for name, path in _files(tiny)])


def judge(found: Sequence[Compared]) -> Figure:
    """Return the figure of all networks."""
    inside = sum(each.bracketed for each in found)
    by_default = sum(each.bracketed_by_default for each in found)
    widest = max((each.ratio for each in found), default=0.0)
    return Figure(
        title="memory of activations: predicted interval, and ONNX Runtime's growth in a run",
        target=f"brackets ≥ {LEAST_SHARE:.0%} of ≥ 20 networks, upper/lower ≤ {MOST_RATIO:g}",
        measured=f"{inside} of {len(found)} ({by_default} by default); upper/lower ≤ {widest:.2f}"
        if found
        else zoo.MISSING,
        met=len(found) >= 20 and inside >= LEAST_SHARE * len(found) and widest <= MOST_RATIO,
        table=(
            (
                "network",
                "fused",
                "in place",
                "liveness",
                "scratch",
                "growth",
                "by default",
                "inside",
            ),
            *(each.row() for each in found),
        ),
        raw={"networks": [_raw(each) for each in found]},
    )


def _files(tiny: bool) -> Iterator[tuple[str, Path]]:
    light = ["squeezenet"] if tiny else list(light_networks.NETWORKS)
    for name in light:
        yield f"light {name}", light_networks.path(name)
    if not tiny:
        wanted = set(ZOO)
        yield from ((each.name, each.path) for each in zoo.networks() if each.path.stem in wanted)


def _compared(name: str, path: Path) -> Compared:
    profile = analyze(path, Binding())
    memory = profile.memory
    found = Compared(
        name=name,
        fused=memory.fused_bytes or 0,
        in_place=memory.in_place_bytes or 0,
        liveness=memory.liveness_bytes or 0,
        scratch=_scratch_bytes(profile),
        own=growth(path, reuse=False),
        planned=growth(path, reuse=True),
        reason=memory.reason,
    )
    progress("  " + "  ".join(found.row()))
    return found


def _scratch_bytes(profile: GraphProfile) -> int:
    """Return the scratch of the largest LRN, which is not part of any value."""
    largest = 0
    for node in profile.nodes:
        if node.op == "LRN" and isinstance(node.bytes_read, int):
            largest = max(largest, 2 * node.bytes_read)
    return largest


def _shown(size: int | str) -> str:
    return size if isinstance(size, str) else f"{size / 1e6:.2f} MB"


def _raw(found: Compared) -> JsonObject:
    return {
        "network": found.name,
        "fused_bytes": found.fused,
        "in_place_bytes": found.in_place,
        "liveness_bytes": found.liveness,
        "scratch_bytes": found.scratch,
        "growth_bytes": found.own,
        "growth_by_default_bytes": found.planned,
    }
