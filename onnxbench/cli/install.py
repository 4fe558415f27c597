"""``onnxbench install`` and ``onnxbench uninstall``: environments for frameworks and runtimes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxbench.cli.options import json_option

if TYPE_CHECKING:
    from onnxbench.environments import Installed, Recipe
    from onnxbench.errors import OnnxBenchError

SOME_FAILED = 3
NONE_DONE = 4

_Json = Annotated[bool, json_option()]


def install(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Runtimes, exporters or environments; none: list what there is."),
    ] = None,
    reinstall: Annotated[
        bool, typer.Option("--reinstall", help="Build it anew, even if it is up to date.")
    ] = False,
    json: _Json = False,
) -> int:
    """Make Python environments of their own for runtimes and exporters, with pinned packages."""
    if not names:
        show_environments(as_json=json)
        return 0
    recipes = list(dict.fromkeys(map(_recipe, names)))
    rows = [_install_one(recipe, reinstall=reinstall) for recipe in recipes]
    columns = ("name", "status", "python", "seconds", "size", "packages", "reason")
    _show(rows, columns, as_json=json)
    failed = sum(row["status"] == "failed" for row in rows)
    return (NONE_DONE if failed == len(rows) else SOME_FAILED) if failed else 0


def uninstall(
    names: Annotated[list[str], typer.Argument(help="Environments, or what they serve.")],
    json: _Json = False,
) -> int:
    """Remove environments that `install` made."""
    from onnxbench import environments

    folders = list(dict.fromkeys(environments.existing(_known_as(name)).name for name in names))
    rows = [{"name": name, "freed_bytes": environments.uninstall(name)} for name in folders]
    _show(rows, ("name", "freed"), as_json=json)
    return 0


def show_environments(*, as_json: bool) -> None:
    """Print what can be installed and what is."""
    from onnxbench import environments

    known = {recipe.name: recipe for recipe in environments.RECIPES}
    others = [name for name in environments.names() if name not in known]
    rows = [_state(name, known.get(name)) for name in (*known, *others)]
    columns = ("name", "serves", "status", "python", "size", "packages", "hint")
    _show(rows, columns, as_json=as_json, caption=f"in {environments.home() / 'environments'}")


def _recipe(name: str) -> "Recipe":
    """Return the recipe that ``name`` means.

    Raises UsageError, with the nearest name, or with what to do for a runtime that needs no
    environment.
    """
    from onnxbench import environments, registry
    from onnxbench.cli.runtimes import find
    from onnxbench.errors import UsageError

    try:
        return environments.find(name)
    except UsageError:
        for registered in registry.runtimes():
            if registered.name == name:
                capability = find(registered).capability
                hint = capability.hint or "it is in the Python that runs onnxbench"
                raise UsageError(f"{name} has no environment of its own", hint) from None
        raise


def _install_one(recipe: "Recipe", *, reinstall: bool) -> dict[str, Any]:
    """Return the row of one environment; why it failed is said on stderr at once."""
    from onnxbench import environments
    from onnxbench.errors import OnnxBenchError

    before = environments.installed(recipe.name)
    try:
        with _progress(recipe.name) as say:
            made = environments.install(recipe, say=say, reinstall=reinstall)
    except OnnxBenchError as error:
        _complain(error)
        row = {"name": recipe.name, "status": "failed"}
        return {**row, "reason": error.message, "hint": error.hint}
    is_old = before is not None and before.created == made.created
    status = "up to date" if is_old else "installed"
    return {"name": recipe.name, "status": status, **_facts(made)}


def _facts(made: "Installed") -> dict[str, Any]:
    from onnxbench.environments import normal

    asked = {normal(pin.partition("==")[0]) for pin in made.pins}
    return {
        "python": made.python,
        "interpreter": str(made.interpreter),
        "seconds": made.seconds,
        "size_bytes": made.size_bytes,
        "created": made.created,
        "reports": dict(made.reports),
        "versions": {name: v for name, v in made.versions.items() if normal(name) in asked},
    }


def _state(name: str, recipe: "Recipe | None") -> dict[str, Any]:
    """Return the row of one environment for `list environments`."""
    from onnxbench import environments

    row = {"name": name, "serves": list(recipe.serves) if recipe else []}
    again = f"onnxbench install {name}" if recipe else f"onnxbench uninstall {name}"
    made = environments.installed(name)
    if made is None:
        why = environments.why_unusable(name)
        return {**row, "status": f"unusable: {why}" if why else "not installed", "hint": again}
    is_current = recipe is not None and made.matches(recipe)
    hint = {} if is_current else {"hint": again}
    return {**row, "status": "installed" if is_current else "outdated", **_facts(made), **hint}


def _known_as(name: str) -> str:
    """Return the environment that ``name`` means: its own name, or one that it serves."""
    from onnxbench import environments

    return name if name in environments.names() else environments.find(name).name


def _complain(error: "OnnxBenchError") -> None:
    from onnxbench.text import safe_text

    print(f"error: {safe_text(error.message, 1000)}", file=sys.stderr)
    print(f"hint: {safe_text(error.hint, 1000)}", file=sys.stderr)


def _show(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool, caption: str = ""
) -> None:
    from onnxbench.report.document import dumps
    from onnxbench.report.listing import listing
    from onnxbench.report.terminal import console

    if as_json:
        print(dumps({"environments": rows}, indent=2))
        return
    shown = [{column: _cell(row, column) for column in columns} for row in rows]
    out = console(sys.stdout)
    out.print(listing("environments", shown, caption=caption))


def _cell(row: dict[str, Any], column: str) -> object:
    from onnxbench.report import format as fmt

    if column in ("size", "freed"):
        known = row.get(f"{column}_bytes")
        return None if known is None else fmt.size(known)
    if column == "packages":
        return [f"{name} {version}" for name, version in row.get("versions", {}).items()]
    return row.get(column)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """Yield what takes the lines of one installation: one line on a terminal, each one elsewhere.

    Nothing is timed here, so a clock may run beside it.
    """
    from onnxbench.report.terminal import console

    out = console(sys.stderr)
    if not out.is_terminal or out.is_dumb_terminal:
        yield lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True)
        return
    from rich.progress import Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    line_column = TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(no_wrap=True, overflow="ellipsis"),
    )
    with Progress(TimeElapsedColumn(), line_column, console=out, transient=True) as drawn:
        task = drawn.add_task(name)
        yield lambda line: drawn.update(task, description=f"{name}: {line}")
