"""The children of one cell: which count, how the cell ended, what became of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from onnxbench.types import Child, ErrorDoc, Measurement, Status

_SAMPLE_BYTES = 8

SEVERITY: tuple[Status, ...] = (
    "ok",
    "skipped",
    "interrupted",
    "throttled",
    "refused-input",
    "provider-missing",
    "unsupported",
    "fallback",
    "wrong-output",
    "error",
    "timeout-soft",
    "timeout-hard",
    "oom",
    "crashed",
)
"""Every status, the worse the later: a cell whose processes ended differently takes the last."""


@dataclass(frozen=True, slots=True)
class Children:
    """The children that count: one attempt per block and mode, the first good one or the last.

    ``convert``, ``facts`` and ``op_times`` hold at most one each; ``replaced`` are the attempts
    that a retry made up for.
    """

    convert: tuple[Child, ...]
    facts: tuple[Child, ...]
    op_times: tuple[Child, ...]
    timed: tuple[Child, ...]
    replaced: tuple[Child, ...]

    @classmethod
    def sort(cls, children: Sequence[Child]) -> Children:
        """Sort the children of one cell, given in the order in which they ran."""
        counting: dict[tuple[str, int], Child] = {}
        replaced: list[Child] = []
        for child in children:
            key = (child.mode, child.block)
            earlier = counting.get(key)
            if earlier is not None and outcome(earlier)[0] == "ok":
                continue
            if earlier is not None:
                replaced.append(earlier)
            counting[key] = child
        return cls(
            convert=tuple(child for child in counting.values() if child.mode == "convert")[:1],
            facts=tuple(child for child in counting.values() if child.mode == "facts")[:1],
            op_times=tuple(child for child in counting.values() if child.mode == "op-times")[:1],
            timed=tuple(child for child in counting.values() if child.mode == "timed"),
            replaced=tuple(replaced),
        )

    @property
    def good(self) -> tuple[Child, ...]:
        """The timed children whose samples count.

        Those with wrong outputs too: the latency of their cell is shown struck out.
        """
        return tuple(child for child in self.timed if outcome(child)[0] == "ok" or is_wrong(child))

    def ending(self) -> tuple[Status, ErrorDoc | None]:
        """Return the status of the cell and its error: those of its worst child.

        A conversion or a facts child that failed decides alone, for nothing may be timed after it.
        A failed ``op-times`` child costs only its table.
        """
        for child in (*self.convert, *self.facts):
            if outcome(child)[0] != "ok":
                return outcome(child)
        if not self.timed:
            return "interrupted", _error("not-timed", "the run ended before this cell was timed")
        worst = max(self.timed, key=lambda child: SEVERITY.index(outcome(child)[0]))
        return outcome(worst)

    def notes(self) -> list[str]:
        """Return one sentence per attempt that failed, retried or not.

        Timed children of a cell that is known to be wrong are wrong too, which need not be said.
        """
        known = any(is_wrong(child) for child in self.facts)
        timed = [child for child in self.timed if not (known and is_wrong(child))]
        counting = (*self.convert, *self.facts, *timed, *self.op_times)
        return [
            *(_failure(child, "a retry took its place") for child in self.replaced),
            *(_failure(child, "") for child in counting if outcome(child)[0] != "ok"),
        ]


def outcome(child: Child) -> tuple[Status, ErrorDoc | None]:
    """Return status and error of a child; a timed child that is "ok" must have samples."""
    result = child.result
    if result.status in ("ok", "wrong-output") and child.mode == "timed":
        size = len(result.samples)
        if size == 0 or size % _SAMPLE_BYTES:
            return "error", _error("no-samples", f"a timed process sent {size} bytes of samples")
    return result.status, _clean(result.error)


def is_wrong(child: Child) -> bool:
    """Tell whether a child computed something else than the reference.

    It is timed all the same, as far as it is to be timed, and what came of it is struck out. A
    precision below the declared one is another fault, and ends a cell.
    """
    status, error = outcome(child)
    return status == "wrong-output" and error is not None and error["kind"] == "wrong-output"


def samples_ns(child: Child) -> npt.NDArray[np.int64]:
    """Return the samples of a good timed child, in the order in which they were taken."""
    return np.frombuffer(child.result.samples, dtype="<i8").astype(np.int64, copy=False)


def measurements(children: Iterable[Child]) -> list[Measurement]:
    """Return what the children reported, without those that reported nothing."""
    return [child.result.measurement for child in children if child.result.measurement]


def _failure(child: Child, then: str) -> str:
    status, error = outcome(child)
    name = f"{child.mode} process" + (f" {child.block}" if child.block else "")
    cause = f" ({error['kind']}: {safe_text(error['message'])})" if error else ""
    return f"{name} ended {status}{cause}" + (f"; {then}" if then else "")


def _error(kind: str, message: str) -> ErrorDoc:
    return {"kind": kind, "message": message, "hint": "", "phase": None}


def _clean(error: ErrorDoc | None) -> ErrorDoc | None:
    if error is None:
        return None
    return {
        **error,
        "kind": safe_text(error["kind"]),
        "message": safe_text(error["message"], 1000),
        "hint": safe_text(error["hint"], 1000),
    }
