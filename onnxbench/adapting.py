"""What adapters of runtimes do alike, ours and anybody's.

This module is part of the worker bundle: stdlib only, Python ≥ 3.10.
"""

from __future__ import annotations

import difflib
import importlib.metadata
from typing import TYPE_CHECKING, Any, Protocol

from onnxbench.errors import AdapterError, InputRefused, Unsupported
from onnxbench.types import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from onnxbench.types import BuildRequest, ConvertRequest, OpTime, PlacementDoc

SMALLER = "choose a smaller --batch or --shape"
"""Hint for whatever ran out of memory."""

WITH = " with "
"""Stands in an effective precision before what less than most of the arithmetic was done in."""

_NAMED = 0.01
"""The least share of the arithmetic that is told."""

_LIKE = 0.4
"""Likeness (`difflib`) from which on a name may be meant: options differ in few letters."""


def installed(runtime: str, distributions: Sequence[str], hint: str) -> Capability:
    """Return what a cheap probe finds: whether all ``distributions`` are in this interpreter.

    The first is the runtime's own, with the version. ``hint``: what installs them.
    """
    try:
        version, *_ = map(importlib.metadata.version, distributions)
    except importlib.metadata.PackageNotFoundError as error:
        return Capability(
            runtime,
            available=False,
            distribution=distributions[0],
            reason=f"the package {error.name} is not installed",
            hint=hint,
        )
    return Capability(runtime, available=True, version=version, distribution=distributions[0])


def refused_option(owner: str, name: str, known: Iterable[str], otherwise: str = "") -> Unsupported:
    """Return the error for an option that ``owner`` lacks: it may be a typing error.

    ``otherwise``: the hint where none of the ``known`` is like it, by default all of them.
    """
    names = list(dict.fromkeys(known))
    by_bare = {each.casefold(): each for each in names}
    near = difflib.get_close_matches(name.casefold(), by_bare, 1, _LIKE)
    listed = f"one of: {', '.join(names)}" if names else "it has none: leave --set out"
    hint = f"did you mean --set {by_bare[near[0]]}=…?" if near else otherwise or listed
    return Unsupported(f"{owner} has no option {name!r}", hint)


def refuse_types(request: BuildRequest | ConvertRequest, known: Iterable[str], why: str) -> None:
    """Raise Unsupported for an input or output of an ONNX type that is not ``known``.

    ``why`` ends the sentence that names it: "which … cannot pass on".
    """
    for tensor in (*request.inputs, *request.outputs):
        if tensor.dtype not in known:
            raise Unsupported(
                f"{tensor.name!r} has type {tensor.dtype}, which {why}", "run it with --runtime cpu"
            )


def refuse_misfits(given: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raise InputRefused for the first input that is not described as the runtime wants it.

    Both map names to descriptions such as ``f32[1, 3]``; a name of one side alone misfits too.
    """
    for name in {**wanted, **given}:
        found, expected = given.get(name, "nothing"), wanted.get(name, "nothing")
        if found != expected:
            raise InputRefused(
                f"input {name!r} takes {expected}, given was {found}",
                "give it with --inputs, another shape with --shape",
            )


class Runs(Protocol):
    """What has a ``run`` that may be replaced: every `onnxbench.protocols.Engine`."""

    run: Callable[[], object]


class PlainEngine:
    """What an engine has that can do no more than run.

    Its outputs are complete when ``run`` returns, it tells no operator's time, and a running
    inference cannot be stopped: after two seconds more the process is killed.
    """

    sync: Callable[[], object] | None = None

    def op_times(self) -> list[OpTime]:
        """Return nothing."""
        return []

    def interrupt(self) -> None:
        """Do nothing."""


def not_bound() -> Any:
    """Stand where ``Engine.run`` will be, until ``bind`` sets it and from ``close`` on."""
    raise InputRefused("no inputs are bound", "this is a fault of onnxbench: report it")


def guarded(
    engine: Runs,
    call: Callable[[], object],
    translate: Callable[[Exception], Exception],
    first: Callable[[], object] | None = None,
) -> Callable[[], object]:
    """Return ``call`` with its first run under guard, where the runtime's errors become ours.

    From the second run on ``engine.run`` is the bare ``call``, as anybody would type it, with no
    try block around it. ``first``: what to call the first time instead.
    """

    def run() -> object:
        try:
            result = (first or call)()
        except AdapterError:
            raise
        except Exception as error:
            raise translate(error) from error
        engine.run = call
        return result

    return run


def one_place(provider: str, operators: Mapping[str, int]) -> PlacementDoc:
    """Return the placement of a runtime that has one place for all ``operators`` (type → count)."""
    return {
        "provider": provider,
        "nodes": sum(operators.values()),
        "node_share": 1.0,
        "time_share": 1.0,
        "operators": dict(operators),
    }


def mainly(spent: Mapping[tuple[str, bool], float]) -> str | None:
    """Return the precision that most of the arithmetic was done in, None where nothing tells.

    ``spent``: time by precision ("" where it is not known) and whether it was spent in a heavy
    layer (a convolution, a matrix product). Heavy ones decide, and those of another precision are
    told with their share: ``float32 with 12 % bfloat16``. Without heavy ones the others decide, and
    among these integers come last: they are truth values, indices and pictures, not arithmetic.
    """

    def weight(key: tuple[str, bool]) -> tuple[int, float]:
        precision, heavy = key
        light = 0 if "int" in precision or precision == "bool" else 1
        return (2 if heavy else light, spent[key])

    if not spent:
        return None
    main, decided_by_heavy = max(spent, key=weight)
    if not main or not decided_by_heavy:
        return main or None
    costs = {precision: cost for (precision, heavy), cost in spent.items() if heavy}
    total = sum(costs.values()) or 1  # layers of no elements take nothing
    shares = {precision: cost / total for precision, cost in costs.items()}
    others = [
        f"{share:.0%} {precision or 'unknown'}".replace("%", " %")
        for precision, share in sorted(shares.items(), key=lambda item: -item[1])
        if precision != main and share >= _NAMED
    ]
    return f"{main}{WITH}{' and '.join(others)}" if others else main


def main_precision(effective: str) -> str:
    """Return what most was computed in: ``float32`` of ``float32 with 12 % bfloat16``."""
    return effective.partition(WITH)[0]


def longest_first(timed: Iterable[tuple[str, str, str, int, int]]) -> list[OpTime]:
    """Return operators with their share of the time of all of them.

    ``timed``: name, operator, provider, ns over all calls, number of calls.
    """
    found = list(timed)
    total = sum(ns for _, _, _, ns, _ in found) or 1
    rows: list[OpTime] = [
        {"name": name, "op": op, "provider": on, "ns": ns, "share": ns / total, "calls": calls}
        for name, op, on, ns, calls in found
    ]
    return sorted(rows, key=lambda row: -row["ns"])
