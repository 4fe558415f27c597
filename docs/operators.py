"""Writes docs/reference/operators.md from the table of operators.

``python docs/operators.py`` rewrites the page; a test fails while it is out of date.
"""

from pathlib import Path
from typing import Any

from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.table import TABLE

PAGE = Path(__file__).parent / "reference" / "operators.md"
HEAD = """# Operators

Generated from the operator table in `onnxbench/graph/operators/` by `python docs/operators.py`.

What `onnxbench analyze` counts for one run of each operator. MACs are multiply-accumulates of the
contraction operators, padding included. Everything else is counted in FLOPs, one for each
operation on one element, on integers as on floats; the total is 2 · MACs + FLOPs. Transcendental
are exp, log, tanh, erf, square roots and the like; they count as FLOPs too, and once more apart.
What is computed from constants alone costs nothing, for a runtime does it before the first
inference. Letters and digits in brackets name the trap that a rule avoids: see the
[decision](../decisions/0005-static-analysis.md).

`fvcore` and `paddle` say what these conventions call the MACs of an operator where that is not what
is called so here. They follow fvcore 0.1.5, by whose count timm publishes, and `paddle.flops` of
Paddle 3.3. Both count calls of a framework, of which an exported graph is a translation, so some
calls cannot be told apart:

- torch's exporter writes adaptive pooling to one element and `x.mean((2, 3))` both as ReduceMean;
  fvcore counts the first alone. Where the exporter notes which it was, that is believed; else it
  is taken for a mean.
- Adaptive pooling to other sizes becomes AveragePool, or, where windows overlap, a hundred Gathers;
  only the former is recognized, by the exporter's note.
- A norm without scale and shift is 4 per element to fvcore; ONNX always has a scale, so it is 5.
- Before opset 17 a layer normalization is written as ReduceMean, Sub, Pow, Sqrt and Div, and counts
  as these.

*In place*: a runtime may write the result over the first input, if nothing else reads it; that is
what the lower bound of the peak memory assumes.

An operator that is missing here is counted by its function body if the standard gives it one (so
AffineGrid and MeanVarianceNormalization are), and else listed as unknown.
"""
TITLES = {
    "contraction": "Contractions: what MACs are",
    "elementwise": "Elementwise",
    "normalization": "Normalization",
    "reduction": "Reductions, pooling, softmax",
    "sampling": "Interpolation",
    "transform": "Transforms",
    "movement": "Copies",
    "view": "Views",
    "control": "Control flow and containers",
    "selection": "Selection",
    "random": "Random numbers",
    "text": "Text, look-ups, images",
}


def page() -> str:
    """Return the page as it should be."""
    sections = [_section(kind, title) for kind, title in TITLES.items()]
    return "\n".join([HEAD, *sections]).rstrip() + "\n"


def _section(kind: str, title: str) -> str:
    grouped: dict[tuple[str, ...], list[str]] = {}
    for (domain, op), row in TABLE.items():
        if row.kind == kind:
            name = f"`{domain}::{op}`" if domain else f"`{op}`"
            grouped.setdefault(_cells(row), []).append(name)
    lines = [f"## {title}", "", "| operators | counted as | fvcore | paddle | in place |"]
    lines.append("|---|---|---|---|---|")
    for cells, names in grouped.items():
        lines.append(f"| {', '.join(names)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cells(row: Operator) -> tuple[str, ...]:
    tallies = [_first_line(each) if each else "" for each in (row.fvcore, row.paddle)]
    return _first_line(row.rule), *tallies, "yes" if row.in_place else ""


def _first_line(of: Any) -> str:
    line: str = of.__doc__.strip().partition("\n")[0].removesuffix(".").removeprefix("Count ")
    return (line[0].upper() + line[1:]).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
