"""What a tool says of a file, and how that compares with the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxbench.graph.dims import Expr
from onnxbench.graph.formulas import parse
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.graph.dims import Count
    from onnxbench.types import JsonObject


@dataclass(frozen=True, slots=True)
class Found:
    """``said``: what the tool told us that it leaves out; ``error``: why it has no numbers."""

    macs: Count | None = None
    params: int | None = None
    said: tuple[str, ...] = ()
    error: str = ""

    def raw(self) -> JsonObject:
        """Return it as JSON; a formula as text."""
        macs = str(self.macs) if isinstance(self.macs, Expr) else self.macs
        return {"macs": macs, "params": self.params, "said": self.said, "error": self.error}


def of_others(line: str) -> Found:
    """Return what a line of `other_tools` says."""
    found: JsonObject = json.loads(line)
    if "error" in found:
        return Found(error=safe_text(found["error"], 300))
    said = tuple(safe_text(each, 100) for each in found["said"])
    return Found(found["macs"], found["params"], said)


def of_document(text: str) -> Found:
    """Return what ``onnxbench analyze --json`` says."""
    document: JsonObject = json.loads(text)
    macs = document["macs"]
    return Found(
        parse(document["formulas"]["macs"]) if macs is None else macs,
        document["params"],
        tuple(each["op"] for each in document["unknown"]),
    )


def deviation(found: Count | None, truth: Count) -> str:
    """Return ``exact``, or by how much ``found`` is off."""
    if found == truth:
        return "exact"
    if isinstance(found, int) and isinstance(truth, int) and truth:
        share = (found - truth) / truth
        return f"{share:+.1%}" if abs(share) >= 0.001 else f"{100 * share:+.1g}%"
    return "none" if found is None else "wrong"
