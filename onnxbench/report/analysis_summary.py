"""A profile at one glance, as lines of a label and a text.

Written without rich, whose import would be a tenth of the whole command.
"""

from __future__ import annotations

import textwrap
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from onnxbench.graph.formulas import symbols
from onnxbench.report import format as fmt
from onnxbench.report.analysis import batch, intensity, shape_text
from onnxbench.text import PARAGRAPH, safe_text, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnxbench.graph.dims import Count
    from onnxbench.graph.profile import GraphProfile, Signature
    from onnxbench.report.analysis import Bounds

SHOWN = 6
"""Inputs, outputs, operators or nodes that are named; the others are counted."""

FORMULA = 600
"""Characters of a formula that are shown; ``--json`` has all of it."""

GAP = 1
LEAST_WIDTH = 20


class Line(NamedTuple):
    """One line of the summary, cleaned of what is foreign in it."""

    label: str
    text: str


def headline(profile: GraphProfile) -> str:
    """Return what was analyzed in one line."""
    domains = [
        f"{safe_text(domain, 40) or 'opset'} {version}"
        for domain, version in sorted(profile.opset.items())
    ]
    parts = [
        safe_text(PurePath(profile.path).name),
        fmt.plural(profile.node_count, "node"),
        ", ".join(domains[:SHOWN]),
        safe_text(profile.producer, 60),
    ]
    return " · ".join(part for part in parts if part)


def lines_of(
    profile: GraphProfile, sha256: str | None = None, bounds: Bounds | None = None
) -> list[Line]:
    """Return the summary of ``profile``; ``sha256``: of its files, where they were hashed."""
    lines = [
        Line("sha256", sha256 or ""),
        *_signatures("input", profile.inputs),
        *_signatures("output", profile.outputs),
        *_totals(profile),
        Line("precision", _precisions(profile)),
        Line("preparation", _preparation(profile)),
        *_constants(profile),
        Line("macts", f"{quantity(profile.macts)} output elements of matmuls and convolutions"),
        *_memory(profile),
        Line("traffic", _traffic(profile)),
        *_bounds(bounds),
        Line("counted", _coverage(profile)),
        *_uncounted(profile),
        *_bounded(profile),
        *_open(profile),
        *(Line("note", safe_text(note, PARAGRAPH)) for note in profile.notes),
    ]
    return [line for line in lines if line.text]


def summary_text(
    profile: GraphProfile, width: int, sha256: str | None = None, bounds: Bounds | None = None
) -> str:
    """Return the summary in lines of at most ``width`` characters."""
    lines = lines_of(profile, sha256, bounds)
    label_width = max(len(line.label) for line in lines) + GAP
    room = max(LEAST_WIDTH, width - label_width)
    out = [fmt.fit(headline(profile), max(LEAST_WIDTH, width))]
    last = ""
    for line in lines:
        label = line.label if line.label != last else ""
        last = line.label
        for i, piece in enumerate(textwrap.wrap(line.text, room, break_on_hyphens=False)):
            out.append(f"{'' if i else label:<{label_width}}{piece}")
    return "\n".join(out)


def summary_markdown(
    profile: GraphProfile, sha256: str | None = None, bounds: Bounds | None = None
) -> str:
    """Return the summary as a table in Markdown."""
    from onnxbench.report.markdown import literal  # noqa: PLC0415 - not for a terminal

    rows = [
        f"| {line.label} | {literal(line.text)} |" for line in lines_of(profile, sha256, bounds)
    ]
    return "\n".join([literal(headline(profile)), "", "| | |", "|---|---|", *rows]) + "\n"


def quantity(count: Count) -> str:
    """Return "4.089 G (4,089,184,256)", or the formula of an open one."""
    if not isinstance(count, int):
        return shorten(safe_text(count.pretty(), None), FORMULA)
    return f"{fmt.decimal(count)} ({count:,})" if count >= 1000 else f"{count}"


def _signatures(label: str, signatures: Sequence[Signature]) -> Iterable[Line]:
    for each in signatures[:SHOWN]:
        shape = safe_text(shape_text(each.shape))
        yield Line(label, f"{safe_text(each.name, 60)} {shape} {safe_text(each.dtype)}")
    if len(signatures) > SHOWN:
        yield Line(label, f"and {len(signatures) - SHOWN} more")


def _totals(profile: GraphProfile) -> list[Line]:
    pure = profile.convention == "pure"
    macs = "MACs" if pure else f"MACs ({profile.convention})"
    size = batch(profile.inputs)
    return [
        Line(macs, _total(profile, profile.macs, profile.macs_least, size)),
        Line("FLOPs", _total(profile, profile.flops, profile.flops_least, size)),
        Line("", "2 × MACs" + ("" if pure else " of the pure convention") + " + elementwise"),
        Line(
            "transcendentals",
            _total(profile, profile.transcendentals, profile.transcendentals, size),
        ),
    ]


def _total(profile: GraphProfile, count: Count, least: Count, size: int | None) -> str:
    """Return a total with what it is: exact, a range, or a lower bound; and that of one sample."""
    if profile.unknown:
        return _each(f"≥ {quantity(least)}", least, size)
    if least == count:
        return _each(quantity(count), count, size)
    return f"{quantity(least)} to {quantity(count)}"


def _each(text: str, count: Count, size: int | None) -> str:
    if size in (None, 1) or not isinstance(count, int) or not count:
        return text
    return f"{text} for batch {size}, {fmt.decimal(count / size)} per sample"


def _precisions(profile: GraphProfile) -> str:
    found = [(name, count) for name, count in profile.macs_by_precision.items() if count != 0]
    if len(found) == 1 and found[0][1] == profile.macs:
        return f"all MACs in {found[0][0]}"
    shown = (
        f"{name} {fmt.decimal(count) if isinstance(count, int) else quantity(count)}"
        for name, count in found
    )
    return " · ".join(shown)


def _preparation(profile: GraphProfile) -> str:
    """Return what arithmetic on constants costs, "" where there is none worth a word."""
    if not profile.preparation_macs:
        return ""
    own = "" if profile.convention == "pure" else ", part of the MACs in this convention"
    return f"{quantity(profile.preparation_macs)} MACs on constants alone, done once{own}"


def _constants(profile: GraphProfile) -> list[Line]:
    of = profile.parameters
    more = {
        "buffers": of.buffers,
        "other constants": of.other,
        "used by nothing": of.dead,
        "weights used more than once": of.tied,
    }
    counts = [f"{name} {count:,}" for name, count in more.items() if count]
    sizes = {"buffers": of.buffer_bytes, "used by nothing": of.dead_bytes}
    stored = [f"{name} {fmt.size(size)}" for name, size in sizes.items() if size]
    if of.sparse_stored is not None:
        counts.append(f"stored of sparse ones {of.sparse_stored:,}")
    if of.unsized:
        counts.append(f"constants of unknown size {of.unsized:,}, NOT counted")
    if len(of.by_dtype) > 1:
        stored += [f"{name} {fmt.decimal(count)}" for name, count in of.by_dtype.items()]
    return [
        Line("parameters", " · ".join([quantity(of.params), *counts])),
        Line("weights", " · ".join([fmt.size(of.weight_bytes), *stored])),
    ]


def _memory(profile: GraphProfile) -> list[Line]:
    of, cache = profile.memory, profile.kv_cache
    if of.liveness_bytes is None:
        found = [Line("peak memory", f"- ({safe_text(of.reason)})")]
    else:
        where = f" at {safe_text(of.node, 60)}" if of.node else ""
        found = [Line("peak memory", f"{fmt.size(of.liveness_bytes)} of activations{where}")]
        others = {
            "in place": of.in_place_bytes, "fused": of.fused_bytes, "no reuse": of.no_reuse_bytes
        }  # fmt: skip
        known = [f"{name} {fmt.size(size)}" for name, size in others.items() if size is not None]
        found.append(Line("", " · ".join(known)))
    if cache is not None:
        size = cache.bytes_per_token
        per = safe_text(cache.reason) if size is None else f"{fmt.size(size)} per token"
        found.append(Line("KV cache", f"{per} over {fmt.plural(cache.layers, 'layer')}"))
    return found


def _traffic(profile: GraphProfile) -> str:
    read, written = profile.bytes_read, profile.bytes_written
    if not isinstance(read, int) or not isinstance(written, int):
        return f"bytes read {quantity(read)}; written {quantity(written)}"
    ratio = intensity(profile.flops, read, written)
    per = "" if ratio is None else f": {fmt.significant(ratio)} FLOPs per byte"
    return f"{fmt.size(read)} read, {fmt.size(written)} written by the nodes{per}"


def _bounds(bounds: Bounds | None) -> Iterable[Line]:
    """Yield the least time of the network on each runtime that is calibrated here."""
    if bounds is None:
        return
    for each in bounds.entries:
        where = ", ".join(
            (
                safe_text(each["runtime"], 40),
                fmt.plural(each["threads"], "thread"),
                safe_text(each["precision"] or "", 40),
            )
        )
        since = f"({safe_text(each['build'], 60)}, {safe_text(each['calibrated'][:10])})"
        if each["bound"] is None:
            text = f"- ({safe_text(each['reason'])})"
        else:
            fused, unfused = (
                fmt.duration(each[key]) for key in ("fused_bound_ns", "unfused_bound_ns")
            )
            text = f"{fused} fused, by {each['bound']}; {unfused} unfused"
        yield Line("least time", f"{where}: {text} {since}")
    if not bounds.entries:
        yield Line("least time", f"- ({safe_text(bounds.reason)})")


def _coverage(profile: GraphProfile) -> str:
    if profile.exact:
        return f"all {fmt.plural(profile.node_count, 'node')}, exactly"
    unknown = sum(each.nodes for each in profile.unknown)
    bounded = sum(node.status == "bounded" for node in profile.nodes)
    exact = profile.node_count - unknown - bounded
    parts = [f"{exact:,} of {fmt.plural(profile.node_count, 'node')} exactly"]
    parts += [f"{bounded:,} within bounds"] if bounded else []
    parts += [f"{unknown:,} NOT counted: totals are lower bounds"] if unknown else []
    return ", ".join(parts)


def _uncounted(profile: GraphProfile) -> Iterable[Line]:
    for each in profile.unknown[:SHOWN]:
        op = safe_text(f"{each.domain}::{each.op}" if each.domain else each.op, 80)
        names = ", ".join(safe_text(name, 40) for name in each.names[:2] if name)
        where = f" ({names}{', …' if each.nodes > 2 else ''})" if names else ""
        yield Line("not counted", f"{op} × {each.nodes:,}: {safe_text(each.reason)}{where}")
    if len(profile.unknown) > SHOWN:
        yield Line("not counted", f"and {len(profile.unknown) - SHOWN} more operators")


def _bounded(profile: GraphProfile) -> Iterable[Line]:
    found = [node for node in profile.nodes if node.status == "bounded"]
    for node in found[:SHOWN]:
        name = safe_text(node.name or node.op, 60)
        why = f": {safe_text(node.reason)}" if node.reason else ""
        yield Line("bounded", f"{name} ({safe_text(node.op)}){why}")
    if len(found) > SHOWN:
        yield Line("bounded", f"and {len(found) - SHOWN} more nodes")


def _dim(symbol: str, in_file: Mapping[str, str]) -> str:
    """Return an open dim as formulas call it, and what the file calls it where that differs."""
    called = in_file.get(symbol)
    name = safe_text(symbol, 60)
    return name if called is None else f"{name} (in the file: {safe_text(called, 60)!r})"


def _open(profile: GraphProfile) -> Iterable[Line]:
    names = list(profile.symbols)
    if not names:
        return
    shown = ", ".join(_dim(name, profile.dim_names) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    firsts = {
        symbol
        for each in profile.inputs
        if each.shape and each.shape[0] is not None
        for symbol in symbols(each.shape[0])
    }
    flag = "--batch N or " if firsts & set(names) else ""
    bind = f"{flag}--dim {safe_text(names[0], 60)}=N"
    yield Line("open dims", f"{shown}{more}: bind with {bind} for numbers")
