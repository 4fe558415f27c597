"""``python -m benchmarks [NAME …] [--tiny] [--write]``, from a clone.

The figures of the static analyzer (``python -m benchmarks analyzer``) compare it with other tools
and with networks that are exported for it. Both need packages that onnxbench does not:
``--other-tools`` is a Python that has what `benchmarks/analyzer/requirements.txt` lists, and
``--zoo`` a folder that `benchmarks/analyzer/export_zoo.py` has filled. ``--exported`` is a home of
onnxbench, for the time of exporting the catalogue again; `benchmarks.zoo` writes docs/zoo.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from subprocess import SubprocessError
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks import machine, page
from benchmarks.analyzer import given
from benchmarks.figure import progress
from onnxbench.errors import OnnxBenchError
from onnxbench.targets.lock import Holder, measuring_lock
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figure import Figure
    from onnxbench.types import JsonObject

ALWAYS = ("null", "sleep", "loop", "isolation", "help", "parent", "sweep", "a_a")
ANALYZER = (
    "analyzer_traps", "analyzer_light", "analyzer_node_tests", "analyzer_torchvision",
    "analyzer_timm", "analyzer_dynamic", "analyzer_memory", "analyzer_speed", "analyzer_large",
)  # fmt: skip
WHEN_NAMED = ("make_run", "zoo_rerun", "own_tools")
FOLDERS = {"analyzer": "analyzer.figures", "zoo": "zoo"}
"""Where the modules of a group of figures are, by the first word of their names."""

NAMES = ALWAYS + ANALYZER + WHEN_NAMED

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "figures.md"


def main() -> int:
    """Measure figures and print them; return 1 if one was missed, 2 if one failed."""
    asked = _arguments()
    table = Table("figure", "target", "measured", "met")
    missed = failed = False
    for name in asked.names:
        try:
            found = measure(name, tiny=asked.tiny)
        except (OnnxBenchError, SubprocessError) as error:
            failed = True
            progress(f"{name} failed: {safe_text(str(error), 2000)}")
            continue
        missed |= not found["met"]
        table.add_row(name, found["target"], found["measured"], "yes" if found["met"] else "no")
        if asked.write:
            page.keep(name, found, RESULTS, PAGE, NAMES)
    Console().print(table)
    return 2 if failed else int(missed and not asked.tiny)


def measure(name: str, *, tiny: bool) -> JsonObject:
    """Return one result, measured while this process holds the host's measuring lock."""

    def say(holder: Holder | None) -> None:
        progress(f"waiting: this host is measuring for {safe_text(str(holder), 300)}")

    group, _, figure_of = name.partition("_")
    where = f"{FOLDERS[group]}.{figure_of}" if group in FOLDERS else name
    module = importlib.import_module(f"benchmarks.{where}")
    with measuring_lock(f"python -m benchmarks {name}", on_wait=say):
        progress(f"{name} ...")
        before = machine.look(0.1 if tiny else 1.0)
        figure: Figure = module.measure(tiny)
        return page.entry(figure, module.__doc__ or "", machine.since(before))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what onnxbench promises about itself (about 20 minutes).",
    )
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help=f"{', '.join(ALWAYS)}; only when named: {', '.join(ANALYZER + WHEN_NAMED)}, "
        "and analyzer for all of them",
    )
    parser.add_argument("--tiny", action="store_true", help="try the code; the numbers mean little")
    parser.add_argument("--write", action="store_true", help="write docs/figures.md")
    parser.add_argument(
        "--other-tools", metavar="PYTHON", help=f"that has them ({given.OTHER_TOOLS})"
    )
    parser.add_argument("--zoo", metavar="FOLDER", help=f"of exported networks ({given.ZOO})")
    parser.add_argument(
        "--exported", metavar="HOME", help=f"with all of the catalogue ({given.EXPORTED})"
    )
    asked = parser.parse_args()
    for name in asked.names:
        if name not in (*NAMES, "analyzer"):
            parser.error(f"no figure {safe_text(name)}; there are {', '.join(NAMES)}")
    if asked.tiny and asked.write:
        parser.error("--tiny numbers are not published: leave --write out")
    asked.names = expanded(asked.names)
    needed = {
        given.OTHER_TOOLS: asked.other_tools, given.ZOO: asked.zoo, given.EXPORTED: asked.exported
    }  # fmt: skip
    for variable, value in needed.items():
        if value is not None:
            os.environ[variable] = value
    return asked


def expanded(names: Sequence[str]) -> list[str]:
    """Return the figures that are meant by ``names``, each once; by none: those that need nothing
    but onnxbench."""
    groups = {"analyzer": ANALYZER}
    meant = [name for each in names for name in groups.get(each, (each,))]
    return list(dict.fromkeys(meant or ALWAYS))


if __name__ == "__main__":
    sys.exit(main())
