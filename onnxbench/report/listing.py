"""Plain lists: what ``list`` and ``run --dry-run`` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType


def listing(noun: str, rows: Sequence[Mapping[str, Any]], *, caption: str = "") -> RenderableType:
    """Return ``rows`` as a table with one column per key that holds something in some row."""
    if not rows:
        return Text(f"no {noun}")
    keys = [key for key in rows[0] if any(row[key] not in (None, "", []) for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for key in keys:
        table.add_column(Text(key.replace("_", " ")), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row[key])) for key in keys))
    return Group(table, Text(safe_text(caption), style="dim")) if caption else table


def plan_listing(plan: Mapping[str, Any]) -> RenderableType:
    """Return what a plan (`onnxbench.plan.Plan.document`) will measure, and what it leaves out."""
    cells = [
        {
            "model": cell["model"]["id"],
            "runtime": cell["runtime"],
            "threads": cell["threads"],
            "boundary": cell["boundary"],
            "precision": "" if cell["precision"] == "model" else cell["precision"],
            "options": [f"{key}={value}" for key, value in cell["options"].items()],
            "shapes": ", ".join(
                f"{safe_text(name)} {fmt.shape(shape)}" for name, shape in cell["shapes"].items()
            ),
            "label": cell["label"],
        }
        for cell in plan["cells"]
    ]
    total = f"at most {plan['processes_max']} processes, about {fmt.time_span(plan['estimate_s'])}"
    left_out = [f"refused by pre-flight: {cell['model']['id']}" for cell in plan["refused"]]
    left_out += [f"skipped: {skip['model']}: {skip['reason']}" for skip in plan["skipped"]]
    left_out += [_limits(plan["limits"])] if plan["limits"] else []
    lines = [Text(safe_text(line, 500)) for line in left_out]
    return Group(listing("cells", cells, caption=total), *lines)


def _limits(limits: Sequence[Mapping[str, Any]]) -> str:
    """Return the time limits of a process; that of loading grows with the model."""
    first, longest = limits[0], max(limit["build_s"] for limit in limits)
    memory = first["memory_bytes"]
    return (
        f"limits of a process: load {fmt.time_span(longest)}, one inference "
        f"{fmt.time_span(first['run_s'])}, sampling {fmt.time_span(first['steady_s'])}"
        + ("" if memory is None else f", memory {fmt.size(memory)}")
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(safe_text(str(item)) for item in value)
    return safe_text(str(value))
