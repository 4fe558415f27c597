"""What ``onnxbench export --json`` said of each model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxbench.errors import UsageError
from onnxbench.text import PARAGRAPH, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from onnxbench.types import JsonObject

OK = "ok"


@dataclass(frozen=True, slots=True)
class Row:
    """One model of a document. None is what the document does not tell.

    ``seconds``: of its export, None where it was there already. ``sides``: (height, width) of the
    input in pixels. ``source_…``: as the framework counts; ``…`` otherwise: in the graph, without
    a convention's extras. ``norm_params``: parameters that folding normalizations removes.
    ``preparation_macs``: those that read constants alone, not in ``macs``.
    ``counts_differ``: why graph and source do not agree, "" where they do.
    """

    id: str
    exporter: str
    status: str
    reason: str = ""
    route: str = ""
    weights: str = ""
    path: str | None = None
    opset: int | None = None
    nodes: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    peak_rss_bytes: int | None = None
    parity: float | None = None
    sides: tuple[int, int] | None = None
    source_params: int | None = None
    source_buffers: int | None = None
    norm_params: int | None = None
    params: int | None = None
    buffers: int | None = None
    macs: int | None = None
    preparation_macs: int = 0
    counts_differ: str = ""
    created: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether it was exported and verified."""
        return self.status == OK


@dataclass(frozen=True, slots=True)
class Exported:
    """All that was exported, by id. ``seconds``: wall time of the commands together."""

    rows: Mapping[str, Row]
    seconds: float


def read(paths: Iterable[Path]) -> Exported:
    """Return what the documents at ``paths`` say together.

    A later one goes on where an earlier one ended: what it found unchanged keeps what the earlier
    one says of its export. Raises UsageError for a file that is no such document.
    """
    rows: dict[str, Row] = {}
    seconds = 0.0
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            seconds += document["seconds"]
            for said in document["artifacts"]:
                before = rows.get(said["id"])
                if not (said["cached"] and before is not None and before.good):
                    rows[said["id"]] = _row(said)
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path} is no document of `onnxbench export --json`: {error}"
            hint = "onnxbench export --weights random --jobs 2 --json > exported.json"
            raise UsageError(message, hint) from error
    return Exported(rows, seconds)


def _row(said: JsonObject) -> Row:
    error = said["error"]
    counts = said.get("counts") or {}
    source, graph = counts.get("source") or {}, counts.get("graph") or {}
    exporter = said.get("exporter") or said["source"].partition(":")[0]
    return Row(
        id=safe_text(said["id"], 200),
        exporter=safe_text(exporter),
        status=safe_text(said["status"]),
        reason="" if error is None else safe_text(error["message"], PARAGRAPH),
        route=safe_text(said.get("route") or ""),
        weights=safe_text(said.get("weights") or ""),
        path=said["path"],
        opset=(said.get("opset") or {}).get(""),
        nodes=graph.get("nodes"),
        bytes=said.get("bytes"),
        seconds=None if said["cached"] else said["seconds"],
        peak_rss_bytes=said.get("peak_rss_bytes"),
        parity=(said.get("parity") or {}).get("max_rel"),
        sides=_sides(said.get("inputs") or []),
        source_params=source.get("params"),
        source_buffers=source.get("buffers"),
        norm_params=source.get("norm_params"),
        params=graph.get("params"),
        buffers=graph.get("buffers"),
        macs=graph.get("macs"),
        preparation_macs=graph.get("preparation_macs") or 0,
        counts_differ="" if counts.get("agree", True) else safe_text(counts["reason"], PARAGRAPH),
        created=said.get("created"),
        versions=said.get("versions") or {},
    )


def _sides(inputs: list[JsonObject]) -> tuple[int, int] | None:
    """Return height and width of the first input, if it is a batch of pictures, NCHW."""
    shape = inputs[0]["shape"] if inputs else []
    if len(shape) != 4 or not all(isinstance(side, int) for side in shape[2:]):
        return None
    return (shape[2], shape[3])
