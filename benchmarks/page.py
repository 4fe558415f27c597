"""Keeps the latest result of every figure, and writes them as a page of the manual.

``results.json`` holds one figure per line: measuring one again changes that line alone, and the
others keep their results, machines and dates.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.figure import Figure
    from onnxbench.types import JsonObject

HEAD = """\
# Figures

What onnxbench promises about itself, and what was measured. This page is written by
`python -m benchmarks --write`, from a clone; each figure carries its own date and machine. All that
was measured is in `benchmarks/results.json`. The figures of the static analyzer, by
`python -m benchmarks analyzer --write --other-tools PYTHON --zoo FOLDER`, need the other tools and
the exported networks that `benchmarks/analyzer/requirements.txt` and `export_zoo.py` bring;
`zoo_rerun` needs `--exported HOME`, a home of onnxbench in which all of the catalogue is exported.
"""


def entry(figure: Figure, method: str, machine: JsonObject) -> JsonObject:
    """Return a result as it is kept; ``method`` says how it was measured."""
    return {
        "title": figure.title,
        "target": figure.target,
        "measured": figure.measured,
        "met": figure.met,
        "table": figure.table,
        "method": method.strip(),
        "machine": machine,
        "raw": figure.raw,
    }


def keep(name: str, found: JsonObject, results: Path, page: Path, order: Sequence[str]) -> None:
    """Put one result among those kept in ``results``, and write ``page`` anew in ``order``."""
    kept: dict[str, JsonObject] = {}
    if results.exists():
        kept = json.loads(results.read_text(encoding="utf-8"))
    kept[name] = json.loads(json.dumps(found, allow_nan=False))
    kept = {known: kept[known] for known in order if known in kept}
    lines = (f"{json.dumps(known)}: {json.dumps(kept[known])}" for known in kept)
    replace(results, "{\n" + ",\n".join(lines) + "\n}\n")
    replace(page, render(kept))


def render(kept: Mapping[str, JsonObject]) -> str:
    """Return the page: a table of all figures, then a section for each."""
    rows = [("figure", "target", "measured", "met", "date")]
    rows += [
        (
            f"{name}: {found['title']}",
            found["target"],
            found["measured"],
            "yes" if found["met"] else "**no**",
            found["machine"]["date"][:10],
        )
        for name, found in kept.items()
    ]
    sections = [line for name, found in kept.items() for line in _section(name, found)]
    return "\n".join([HEAD, *table_lines(rows), *sections]) + "\n"


def _section(name: str, found: JsonObject) -> Iterator[str]:
    yield f"\n## {name}: {found['title']}\n"
    yield f"Target: {found['target']}. Measured: **{found['measured']}**.\n"
    yield f"{found['method']}\n"
    if found["table"]:
        yield from table_lines(found["table"])
        yield ""
    yield machine_line(found["machine"])


def machine_line(machine: JsonObject) -> str:
    """Return one line about ``machine``, what `benchmarks.machine.since` tells."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    hypervisor = f", under {machine['hypervisor']}" if machine["hypervisor"] else ""
    average = machine["load_average"]
    busy = [
        f"load average {average[0]:.2f} at the start" if average else "load average not told",
        _told("{:.2f} cores busy with other work in the second before it",
              machine["foreign_cores_before"], "other work not told"),
        _told("steal {:.2%} during it", machine["steal_share"], "steal not told"),
    ]  # fmt: skip
    return (
        f"{machine['date']}, {machine['took_s']:g} s. {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}{hypervisor}; {', '.join(busy)}. {versions}."
    )


def _told(text: str, value: float | None, otherwise: str) -> str:
    return otherwise if value is None else text.format(value)


def table_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown, the first of ``rows`` its header."""
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if number == 0:
            yield "|" + "---|" * len(row)


def replace(path: Path, text: str) -> None:
    """Write ``path`` at once: nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
