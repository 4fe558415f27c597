"""Exported models against what is published of them: within rounding, or a difference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks.figure import progress
from onnxbench.errors import OnnxBenchError
from onnxbench.graph.analysis import analyze
from onnxbench.graph.profile import CONVENTIONS, Binding
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.zoo.documents import Row
    from onnxbench.graph.profile import Convention
    from onnxbench.sources import Published
    from onnxbench.types import ModelSpec

What = Literal["export", "counts", "size", "params", "buffers", "macs"]

ROUNDING = {
    "torchvision": (1, 1_000_000),
    "timm infer": (10_000, 10_000_000),
    "counted on the file": (1, 1),
}
"""Coarsest unit of the last place of parameters and MACs, by the beginning of a source's name."""

KeptMacs = dict[str, dict[str, int]]
"""MACs of graphs with their normalizations apart: by id, then by convention."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it should be with a model. ``published``, ``ours``: pixels a side, elements or
    MACs, None for what is no number; ``told``: the reason that onnxbench gave; ``source``: who
    published. ``why``: explained, "" where it is not."""

    id: str
    what: What
    published: int | None = None
    ours: int | None = None
    source: str = ""
    told: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One source's numbers for a model beside ours, counted as that source counts; None: not said,
    or not counted."""

    row: Row
    published: Published
    params: int | None
    macs: int | None

    def differences(self) -> Iterator[Difference]:
        """Yield what differs by more than half a unit of the last published place."""
        said = self.published
        params_unit, macs_unit = rounding(said)
        sides = self.row.sides
        if said.size is not None and sides is not None and sides != (said.size, said.size):
            yield self._difference("size", said.size, max(sides))
        pairs: tuple[tuple[What, int | None, int | None, int], ...] = (
            ("params", said.params, self.params, params_unit),
            ("buffers", said.buffers, self.row.buffers, 1),
            ("macs", said.macs, self.macs, macs_unit),
        )
        for what, published, ours, unit in pairs:
            # In halves, for they are no integers: rounding leaves at most half a unit.
            if published is not None and ours is not None and 2 * abs(ours - published) > unit:
                yield self._difference(what, published, ours)

    def _difference(self, what: What, published: int, ours: int) -> Difference:
        return Difference(self.row.id, what, published, ours, self.published.source)


def rounding(published: Published) -> tuple[int, int]:
    """Return the units of the last places of parameters and MACs.

    It is the place of the last digit that is not zero, for a source may print some of its numbers
    finer than others, but never coarser than `ROUNDING` says.
    """
    last = (_last_place(published.params), _last_place(published.macs))
    for begins, (params, macs) in ROUNDING.items():
        if published.source.startswith(begins):
            return min(last[0], params), min(last[1], macs)
    return last


def comparisons(spec: ModelSpec, row: Row, kept: KeptMacs) -> list[Comparison]:
    """Return those with each source that publishes counts of ``spec``."""
    return [
        Comparison(row, each, _params(row, each), _macs(row, each, kept.get(row.id, {})))
        for each in spec.published
        if each.params is not None or each.macs is not None
    ]


def differences(
    models: Mapping[str, ModelSpec], rows: Mapping[str, Row], compared: Sequence[Comparison]
) -> list[Difference]:
    """Return all of them, by model in the order of the catalogue."""
    found: dict[str, list[Difference]] = {model: [] for model in models}
    for model, of_it in found.items():
        row = rows.get(model)
        if row is None:
            of_it.append(Difference(model, "export", told="no document tells of it"))
        elif not row.good:
            of_it.append(Difference(model, "export", told=f"{row.status}: {row.reason}"))
        elif row.counts_differ:
            of_it.append(Difference(model, "counts", told=row.counts_differ))
    for each in compared:
        found[each.row.id] += each.differences()
    return [each for of_it in found.values() for each in of_it]


def comparable(
    models: Mapping[str, ModelSpec], rows: Mapping[str, Row], compared: Sequence[Comparison]
) -> dict[tuple[str, What], bool]:
    """Return all that can differ, and whether it was compared."""
    found: dict[tuple[str, What], bool] = {}
    for model, spec in models.items():
        row = rows.get(model)
        found[model, "export"] = row is not None
        found[model, "counts"] = row is not None and row.good
        for said in spec.published:
            if said.params is not None or said.macs is not None:
                found |= {(model, what): False for what, value, _ in _numbers(said) if value}
    for each in compared:
        for what, published, ours in _numbers(each.published, each):
            if published is not None and ours is not None:
                found[each.row.id, what] = True
    return found


def _numbers(
    said: Published, compared: Comparison | None = None
) -> tuple[tuple[What, int | None, object], ...]:
    """Return what can differ: each published number beside ours, where there is a comparison."""
    row = None if compared is None else compared.row
    return (
        ("size", said.size, row and row.sides),
        ("params", said.params, compared and compared.params),
        ("buffers", said.buffers, row and row.buffers),
        ("macs", said.macs, compared and compared.macs),
    )


def kept_macs(
    models: Mapping[str, ModelSpec], kept: Mapping[str, Row], exported: Mapping[str, Row]
) -> KeptMacs:
    """Return the MACs of graphs with normalizations apart, in the conventions published of each.

    ``kept``: exports with ``--keep-bn``. Without it one will do that has nothing to fold.
    """
    whole = {model: row for model, row in exported.items() if row.norm_params == 0}
    found: KeptMacs = {}
    for row in {**whole, **kept}.values():
        said = {each.convention for each in models[row.id].published if each.macs is not None}
        wanted = [name for name in CONVENTIONS if name in said and name != "pure"]
        if not row.good or row.path is None or not wanted:
            continue
        progress(f"{row.id} ...")
        counted = {name: _counted(Path(row.path), name) for name in wanted}
        found[row.id] = {name: macs for name, macs in counted.items() if macs is not None}
    return found


def _counted(path: Path, convention: Convention) -> int | None:
    """Return the MACs for one picture, None where they are not known exactly."""
    try:
        profile = analyze(path, Binding(batch=1), convention)
    except OnnxBenchError as error:
        progress(f"not counted: {safe_text(str(error), 500)}")
        return None
    return profile.macs if profile.exact and isinstance(profile.macs, int) else None


def _params(row: Row, published: Published) -> int | None:
    """Return the learnable elements of the source; PaddleClas adds the running statistics."""
    params = row.params if row.source_params is None else row.source_params
    if published.convention == "paddle" and params is not None:
        return params + (row.source_buffers or 0)
    return params


def _macs(row: Row, published: Published, kept: Mapping[str, int]) -> int | None:
    """Return the MACs in the convention of ``published``: pure ones where it names none."""
    if published.convention not in (None, "pure"):
        return kept.get(published.convention or "")
    # torchvision counts modules as they run, also those that read constants alone.
    runs = row.exporter == "torchvision" and row.macs is not None
    return (row.macs or 0) + row.preparation_macs if runs else row.macs


def _last_place(value: int | None) -> int:
    unit = 1
    while value and value % (unit * 10) == 0:
        unit *= 10
    return unit
