"""Rows of the results file: what a noun becomes as columns, and back.

Each table has an ``…_row`` function, which ends in `seal`, and a decoder in `DECODERS`, which is
given the columns after `unseal`. Whatever does not come back exactly as it was written is
`Damaged`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from onnxbench.store.codec import Column, checksum, compress, expand, parse_json
from onnxbench.types import Child, ChildResult, JsonObject, Record, Status, canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RunState = Literal["open", "finished", "interrupted"]
Table = Literal["run", "child", "record", "skips"]
Row = tuple[Column, ...]

COLUMNS: dict[Table, tuple[str, ...]] = {
    "run": ("run_id", "created", "state", "plan_key", "host_id", "plan", "tool", "checksum"),
    "child": (
        "child_id", "run_id", "cell_id", "block", "mode", "document", "samples", "checksum",
    ),
    "record": ("record_id", "run_id", "cell_id", "document", "checksum"),
    "skips": ("run_id", "document", "checksum"),
}  # fmt: skip
"""Columns as `seal` covers them, in order. The first one names the row."""

KEYS: dict[Table, str] = {
    "run": "run_id",
    "child": "child_id",
    "record": "run_id, cell_id",
    "skips": "run_id",
}
"""What no two rows of a table share."""


class Damaged(ValueError):
    """A row is not what was written."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out. ``name`` is its first column, foreign text if it is damaged."""

    table: Table
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run: when it began (UTC, ISO 8601), its plan, and how much of it is stored.

    ``cells`` counts its records, ``children`` its finished child processes.
    """

    run_id: str
    created: str
    state: RunState
    plan_key: str
    host_id: str
    plan: JsonObject
    tool: JsonObject
    cells: int = 0
    children: int = 0


def seal(*columns: Column) -> Row:
    """Return the columns followed by their checksum."""
    return (*columns, checksum(columns))


def unseal(row: Row) -> Row:
    """Return the columns of a sealed row without the checksum. Raises Damaged."""
    *columns, mark = row
    if checksum(columns) != mark:
        raise Damaged("the checksum does not match")
    return tuple(columns)


def run_row(run: RunRow) -> Row:
    """Return the columns of a run; the counts are not stored."""
    return seal(
        run.run_id, run.created, run.state, run.plan_key, run.host_id,
        canonical_json(run.plan), canonical_json(run.tool),
    )  # fmt: skip


def child_row(child_id: str, run_id: str, child: Child) -> Row:
    """Return the columns of a child. ``child_id`` tells it from every other child anywhere."""
    result = {name: getattr(child.result, name) for name in _RESULT_TYPES}
    return seal(
        child_id, run_id, child.cell_id, child.block, child.mode,
        canonical_json(result), compress(child.result.samples),
    )  # fmt: skip


def record_row(run_id: str, record: Record) -> Row:
    """Return the columns of a record."""
    return seal(record["record_id"], run_id, record["cell_id"], canonical_json(record))


def skips_row(run_id: str, skips: Sequence[JsonObject]) -> Row:
    """Return the columns of all skips of a run."""
    return seal(run_id, canonical_json(list(skips)))


_RESULT_TYPES: dict[str, tuple[type, ...]] = {
    "status": (str,),
    "error": (dict, NoneType),
    "measurement": (dict, NoneType),
    "wall_ns": (int,),
    "exit_code": (int, NoneType),
    "signal": (str, NoneType),
    "log": (str,),
    "started": (str,),
}


def _is_result(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.keys() == _RESULT_TYPES.keys()
        and all(isinstance(document[name], kinds) for name, kinds in _RESULT_TYPES.items())
        and document["status"] in get_args(Status)
    )


_MODES = ("convert", "facts", "timed", "op-times")


def _run(
    run_id: str, created: str, state: Any, plan_key: str, host_id: str, plan: str, tool: str
) -> RunRow:
    run = RunRow(run_id, created, state, plan_key, host_id, parse_json(plan), parse_json(tool))
    if state not in get_args(RunState) or not isinstance(run.plan, dict):
        raise Damaged("it is not a run")
    return run


def _child(
    _child_id: str, _run_id: str, cell_id: str, block: int, mode: Any, document: str, samples: bytes
) -> Child:
    result = parse_json(document)
    if mode not in _MODES or not _is_result(result):
        raise Damaged("it is not a finished child process")
    return Child(cell_id, block, mode, ChildResult(**result, samples=expand(samples)))


def _record(record_id: str, _run_id: str, cell_id: str, document: str) -> Record:
    record = parse_json(document)
    if not isinstance(record, dict) or record.get("cell_id") != cell_id:
        raise Damaged("it is not the record of its cell")
    if record.get("record_id") != record_id:
        raise Damaged("it is not the record that it is filed as")
    return cast("Record", record)


def _skips(_run_id: str, document: str) -> list[JsonObject]:
    skips = parse_json(document)
    if not isinstance(skips, list) or not all(isinstance(skip, dict) for skip in skips):
        raise Damaged("it is not a list of skips")
    return skips


_DECODERS: dict[Table, Callable[..., Any]] = {
    "run": _run,
    "child": _child,
    "record": _record,
    "skips": _skips,
}


def decode(table: Table, row: Row) -> Any:
    """Return the noun of a sealed row: RunRow, Child, Record or a list of skips. Raises Damaged."""
    try:
        return _DECODERS[table](*unseal(row))
    except (ValueError, TypeError) as exc:
        raise exc if isinstance(exc, Damaged) else Damaged(str(exc)) from exc
