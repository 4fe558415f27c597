"""``python -m benchmarks.zoo --exported FILE … [--kept FILE …] [--write]``, from a clone.

The files are what ``onnxbench export --weights random --jobs 2 --json`` printed, without and with
``--keep-bn``; several stand for a run and those that went on with it. The exported models must
still be where these say.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine, page
from benchmarks.figure import progress
from benchmarks.zoo import documents, explained, published
from benchmarks.zoo.render import Zoo, render
from onnxbench import catalog
from onnxbench.errors import OnnxBenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.zoo.explained import Explanation

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"


def main() -> int:
    """Print or write the page; return 1 if something is not explained, 2 if there is no page."""
    asked = _arguments()
    before = machine.look(1.0)
    try:
        zoo = compare(asked.exported, asked.kept, explained.EXPLANATIONS, asked.models)
    except OnnxBenchError as error:
        progress(f"{error}\n{error.hint}")
        return 2
    text = render(zoo, machine.since(before))
    if asked.write:
        page.replace(PAGE, text)
    else:
        print(text)
    open_ = [each for each in zoo.differences if not each.why]
    for each in open_:
        progress(f"not explained: {each.id}: {each.what}: {each.told or each.ours}")
    return 1 if open_ else 0


def compare(
    exported: Sequence[Path],
    kept: Sequence[Path],
    explanations: Sequence[Explanation],
    models: Path | None = None,
) -> Zoo:
    """Return what the documents say, beside the catalogue at ``models``.

    Raises UsageError for documents that are none, or tell of models that the catalogue lacks, and
    for explanations that nothing needs.
    """
    known = catalog.load(models).models
    found, apart = documents.read(exported), documents.read(kept)
    for model in (*found.rows, *apart.rows):
        if model not in known:
            hint = "name the catalogue that was exported with --models"
            raise UsageError(f"{model} was exported, but is not in the catalogue", hint)
    macs = published.kept_macs(known, apart.rows, found.rows)
    compared = [
        each
        for model, spec in known.items()
        if model in found.rows and found.rows[model].good
        for each in published.comparisons(spec, found.rows[model], macs)
    ]
    differences = published.differences(known, found.rows, compared)
    comparable = published.comparable(known, found.rows, compared)
    if old := explained.stale(differences, comparable, explanations):
        names = ", ".join(f"{each.pattern} ({each.what})" for each in old)
        hint = "remove them from benchmarks/zoo/explained.py"
        raise UsageError(f"explanations that nothing needs any more: {names}", hint)
    return Zoo(known, found, compared, explained.explain(differences, explanations))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.zoo", description="Compare exported models with what is known."
    )
    parser.add_argument("--exported", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--kept", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--models", type=Path, metavar="FILE", help="another catalogue")
    parser.add_argument("--write", action="store_true", help="write docs/zoo.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
