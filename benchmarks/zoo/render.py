"""The page of the zoo: how the catalogue was exported, and how its counts compare."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import page
from onnxbench.report import format as fmt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.zoo.documents import Exported, Row
    from benchmarks.zoo.published import Comparison, Difference
    from onnxbench.types import JsonObject, ModelSpec

HEAD = """\
# The zoo

Every model of `models.yaml` as a verified ONNX file: what its export took, and its static counts
against the numbers that others publish. This page is written by
`python -m benchmarks.zoo --exported FILE --kept FILE --write`, from a clone, out of what
`onnxbench export --json` said: once as it is, once with `--keep-bn`.
"""
EXPORTS = """
A model is ok when the ONNX file was checked, ran in ONNX Runtime at two batch sizes on seeded
inputs, and gave what the source framework gives. Parity is the largest difference of an output by
the largest output; a file that existed already was converted from nothing and has none. Peak memory
is the resident set of the process that exports. Seconds are wall time, from a cold start of that
process to the last check, while other models were exported at the same time.
"""
COUNTS = """
Source: learnable parameters as the framework counts them, for PaddleClas with the running
statistics of batch normalizations, as it publishes them. Graph: those of the exported file, into
which batch normalizations are folded. MACs are for one picture: of the graph, in the convention
`pure` (convolutions and matrix products), and as the publisher counts, which for `fvcore` (timm)
and `paddle` includes normalizations and is counted on a graph that keeps them. torchvision counts
what it computes at each inference, so MACs that read constants alone are among them there.
"""
DIFFERENCES = """
All that differs by more than half a unit of the last published place. That is the last digit which
is not zero, but no coarser than what the table prints: 0.001 G and 1 parameter for torchvision,
0.01 G and 0.01 M for timm. PaddleClas prints some rows finer than others.
"""
SLOWEST = 5
UNEXPLAINED = "**not explained**"
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Zoo:
    """All that the page tells. ``differences`` are explained as far as they can be."""

    models: Mapping[str, ModelSpec]
    exported: Exported
    compared: Sequence[Comparison]
    differences: Sequence[Difference]

    @property
    def rows(self) -> list[Row]:
        """What was exported, in the order of the catalogue."""
        return [self.exported.rows[model] for model in self.models if model in self.exported.rows]


def render(zoo: Zoo, machine: JsonObject) -> str:
    """Return the page; ``machine`` as `benchmarks.machine.since` tells it."""
    return "\n".join([
        HEAD,
        *_summary(zoo),
        "\n## Seconds by exporter\n",
        *page.table_lines(_by_exporter(zoo.rows)),
        "\n## Exports",
        EXPORTS,
        *page.table_lines(_exports(zoo)),
        "\n## Counts",
        COUNTS,
        *page.table_lines(_counts(zoo)),
        "\n## Differences",
        DIFFERENCES,
        *_differences(zoo.differences),
        "\n## Made with\n",
        *_made_with(zoo.rows),
        f"\nThis page: {page.machine_line(machine)}\n",
    ])  # fmt: skip


def _summary(zoo: Zoo) -> Iterator[str]:
    rows, good = zoo.rows, [row for row in zoo.rows if row.good]
    timed = [(row.seconds, row) for row in good if row.seconds is not None]
    total = sum(seconds for seconds, _ in timed)
    share = len(good) / len(zoo.models)
    table = [
        ("", "measured"),
        ("exported and verified", f"{len(good)} of {len(zoo.models)} models ({share:.1%})"),
        ("whole catalogue, wall time", fmt.time_span(zoo.exported.seconds)),
        ("sum over models", f"{total:.0f} s ({len(timed)} models)"),
    ]
    if timed:
        slowest = sorted(timed, key=lambda pair: -pair[0])[:SLOWEST]
        table += [
            ("median of a model", f"{statistics.median(seconds for seconds, _ in timed):.1f} s"),
            ("slowest", ", ".join(f"`{row.id}` {seconds:.0f} s" for seconds, row in slowest)),
        ]
    peaks = [(row.peak_rss_bytes, row) for row in rows if row.peak_rss_bytes is not None]
    if peaks:
        peak, largest = max(peaks, key=lambda pair: pair[0])
        params = _number(largest.source_params)
        text = f"{peak / MIB:,.0f} MiB (`{largest.id}`, {params} parameters)"
        table.append(("largest peak memory of an exporting process", text))
    table += _fits(zoo)
    yield from page.table_lines(table)


def _fits(zoo: Zoo) -> Iterator[tuple[str, str]]:
    """Yield how many published numbers are ours as well."""
    # Each source's own number counts: a model may differ from one source and fit another.
    differing = {(each.id, each.what, each.source) for each in zoo.differences}
    for what, of in (("params", "parameters"), ("macs", "MACs")):
        asked = [each for each in zoo.compared if getattr(each.published, what) is not None]
        known = [each for each in asked if getattr(each, what) is not None]
        off = sum((each.row.id, what, each.published.source) in differing for each in known)
        text = f"{len(known) - off} of {len(known)} compared"
        if missing := len(asked) - len(known):
            text += f", {missing} more not compared"
        yield f"{of} as published, within rounding", text
    open_ = sum(not each.why for each in zoo.differences)
    yield "differences and failures", f"{len(zoo.differences)}, {open_} of them not explained"


def _by_exporter(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    yield ("exporter", "models", "ok", "seconds", "median", "largest peak RSS")
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.exporter].append(row)
    for exporter, group in sorted(groups.items()):
        seconds = [row.seconds for row in group if row.good and row.seconds is not None]
        peaks = [row.peak_rss_bytes for row in group if row.peak_rss_bytes is not None]
        yield (
            exporter,
            str(len(group)),
            str(sum(row.good for row in group)),
            f"{sum(seconds):.0f} s" if seconds else "",
            f"{statistics.median(seconds):.1f} s" if seconds else "",
            _mib(max(peaks, default=None)),
        )


def _exports(zoo: Zoo) -> Iterator[tuple[str, ...]]:
    yield (
        "model", "exporter", "route", "weights", "opset", "nodes", "size", "seconds", "peak RSS",
        "parity", "status",
    )  # fmt: skip
    for row in zoo.rows:
        yield (
            f"`{row.id}`",
            row.exporter,
            row.route,
            row.weights,
            _number(row.opset),
            _number(row.nodes),
            _mib(row.bytes, 1),
            "" if row.seconds is None else f"{row.seconds:.1f}",
            _mib(row.peak_rss_bytes),
            "" if row.parity is None else f"{row.parity:.1e}",
            row.status,
        )


def _counts(zoo: Zoo) -> Iterator[tuple[str, ...]]:
    yield (
        "model", "parameters: source", "graph", "published", "off", "MACs: graph", "as published",
        "published", "off", "publisher",
    )  # fmt: skip
    compared: dict[str, list[Comparison]] = defaultdict(list)
    for each in zoo.compared:
        compared[each.row.id].append(each)
    for row in zoo.rows:
        pure = _giga(row.macs)
        for each in compared[row.id]:
            said = each.published
            convention = f" ({said.convention})" if said.convention else ""
            yield (
                f"`{row.id}`",
                _number(each.params),
                _number(row.params),
                _number(said.params),
                _off(each.params, said.params),
                pure,
                _giga(each.macs),
                _giga(said.macs),
                _off(each.macs, said.macs),
                said.source + convention,
            )
        if not compared[row.id]:
            source, graph = _number(row.source_params), _number(row.params)
            yield (f"`{row.id}`", source, graph, "", "", pure, "", "", "", "nobody")


def _differences(found: Sequence[Difference]) -> Iterator[str]:
    for title, part in (
        ("### Models that failed\n", [each for each in found if each.what == "export"]),
        ("### Numbers that differ\n", [each for each in found if each.what != "export"]),
    ):
        yield title
        if not part:
            yield "None.\n"
        elif title.startswith("### Models"):
            rows = [(f"`{each.id}`", each.told, each.why or UNEXPLAINED) for each in part]
            yield from page.table_lines([("model", "what onnxbench said", "why"), *rows])
            yield ""
        else:
            yield from page.table_lines(_numbers(part))
            yield ""


def _numbers(found: Sequence[Difference]) -> Iterator[tuple[str, ...]]:
    yield ("model", "what", "published", "onnxbench", "off", "publisher", "why")
    for each in found:
        show = _giga if each.what == "macs" else _number
        yield (
            f"`{each.id}`",
            each.what,
            show(each.published),
            show(each.ours) or each.told,
            _off(each.ours, each.published),
            each.source,
            each.why or UNEXPLAINED,
        )


def _made_with(rows: Sequence[Row]) -> Iterator[str]:
    versions: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, version in row.versions.items():
            versions[name].add(version)
    told = ", ".join(f"{name} {'/'.join(sorted(versions[name]))}" for name in sorted(versions))
    dates = sorted(row.created for row in rows if row.created is not None)
    if dates:
        yield f"Exported from {dates[0]} to {dates[-1]}: {told}."


def _off(ours: int | None, published: int | None) -> str:
    if ours is None or published is None:
        return ""
    return f"{(ours - published) / published:+.2%}" if ours != published else "0"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _giga(macs: int | None) -> str:
    return "" if macs is None else f"{macs / 1e9:.4f} G"


def _mib(n_bytes: int | None, digits: int = 0) -> str:
    return "" if n_bytes is None else f"{n_bytes / MIB:,.{digits}f} MiB"
