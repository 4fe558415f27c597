"""What tells the rows of a table apart, and what all of them have in common.

Only what varies becomes a column; what is constant is said once, in the caption (as llama-bench
does). A reader then sees at a glance what the table is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxbench.report import format as fmt
from onnxbench.text import LIMIT, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxbench.types import Record


def at(record: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted ``path`` of a document, None where any step is missing."""
    value: Any = record
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text_at(record: Mapping[str, Any], path: str) -> str:
    """Return the value at ``path`` as clean text, "" where there is none."""
    value = at(record, path)
    return "" if value is None else safe_text(str(value))


def shapes(record: Mapping[str, Any], limit: int | None = LIMIT) -> str:
    """Return the input shapes as they are typed: "data:1x3x224x224 mask:1x16"."""
    inputs = at(record, "cell.shapes") or {}
    return safe_text(" ".join(f"{name}:{fmt.shape(dims)}" for name, dims in inputs.items()), limit)


def options(record: Mapping[str, Any], limit: int | None = LIMIT) -> str:
    """Return the runtime options as they are typed at ``--set``: "key=value key=value"."""
    pairs = at(record, "cell.options") or {}
    return safe_text(" ".join(f"{key}={value}" for key, value in pairs.items()), limit)


def _value(path: str) -> Callable[[Record], str]:
    return lambda record: text_at(record, path)


def _file(record: Record) -> str:
    return text_at(record, "cell.model.sha256")[:8]


def _run(record: Record) -> str:
    return text_at(record, "run_id")


def _device(record: Record) -> str:
    emulated = " (emulated)" if at(record, "cell.device.emulated") else ""
    return text_at(record, "cell.device.name") + emulated


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that rows can differ in.

    ``text`` gives "" where a record has no value. ``phrase`` is how a constant value reads in the
    caption; "" leaves it out. A ``derived`` axis mostly follows from the others (the file's hash
    from the model): it becomes a column only when nothing else tells two rows apart.
    """

    title: str
    text: Callable[[Record], str]
    phrase: str = "{}"
    derived: bool = False


MODEL = Axis("model", _value("cell.model.id"), "model {}")
RUNTIME = Axis("runtime", _value("cell.runtime"), "runtime {}")
RUNTIME_VERSION = Axis(
    "version", _value("effective.runtime_version"), "runtime version {}", derived=True
)
DEVICE = Axis("device", _device)
THREADS = Axis("threads", _value("cell.threads"), "threads {}")
WORKLOAD = (
    Axis("batch", _value("cell.batch"), "batch {}"),
    Axis("boundary", _value("cell.boundary"), "boundary {}"),
    Axis("precision", _value("cell.precision"), "precision {}"),
    Axis("label", _value("cell.label"), "label {}"),
)
OPTIONS = Axis("options", options, "options {}")
FILE = Axis("file", _file, "sha256 {}…", derived=True)
DERIVED = (
    Axis("shapes", shapes, "inputs {}", derived=True),
    Axis("weights", _value("cell.model.weights"), "weights {}", derived=True),
    FILE,
    Axis("inputs", _value("cell.inputs"), "", derived=True),
)
HOST = Axis("host", _value("environment.host.id"), "", derived=True)
RUN = Axis("run", _run, "run {}", derived=True)

AXES = (
    MODEL, RUNTIME, RUNTIME_VERSION, DEVICE, THREADS, *WORKLOAD, OPTIONS, *DERIVED, HOST, RUN
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Split:
    """The axes that become columns, and the constants as phrases of a caption."""

    varying: tuple[Axis, ...]
    constants: tuple[str, ...]


def split(
    records: Sequence[Record], axes: Sequence[Axis] = AXES, *, always: Sequence[Axis] = (MODEL,)
) -> Split:
    """Say which of ``axes`` vary over ``records`` (``always``: columns even when they do not)."""
    varying: list[Axis] = []
    constants: list[str] = []
    for axis in axes:
        values = {text for record in records if (text := axis.text(record))}
        follows = axis.derived and told_apart(records, axis, varying)
        if axis in always or (len(values) > 1 and not follows):
            varying.append(axis)
        elif axis is RUNTIME_VERSION and RUNTIME in varying:
            continue  # said beside each runtime
        elif len(values) == 1 and axis.phrase:
            constants.append(axis.phrase.format(values.pop()))
    return Split(tuple(varying), tuple(constants))


def told_apart(records: Sequence[Record], axis: Axis, by: Sequence[Axis]) -> bool:
    """Say whether the value of ``axis`` follows from the values of the axes in ``by``."""
    seen: dict[tuple[str, ...], str] = {}
    for record in records:
        text = axis.text(record)
        if text and seen.setdefault(tuple(other.text(record) for other in by), text) != text:
            return False
    return True
