"""Writes docs/reference/commands.md from the command line itself.

``python docs/commands.py`` rewrites the page; a test fails while it is out of date.
"""

from pathlib import Path
from typing import Any

import typer.main

from onnxbench.cli.main import app

PAGE = Path(__file__).parent / "reference" / "commands.md"
HEAD = """# Commands

Generated from the command line by `python docs/commands.py`.
"""


def page() -> str:
    """Return the page as it should be."""
    group: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *_commands("onnxbench", group)]).rstrip() + "\n"


def _commands(name: str, command: Any) -> list[str]:
    subcommands = getattr(command, "commands", {})
    lines = [] if name == "onnxbench" else _one(name, command)
    for child, subcommand in subcommands.items():
        lines += _commands(f"{name} {child}", subcommand)
    return lines


def _one(name: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join([name, *map(_shown, arguments)])
    lines = [f"## `{name}`", "", f"    {usage}", "", (command.help or "").strip(), ""]
    if not options and not any(p.help for p in arguments):
        return lines
    lines += ["| option | meaning |", "|---|---|"]
    lines += [f"| `{p.name.upper()}` | {p.help} |" for p in arguments if p.help]
    lines += [f"| {_names(p)} | {p.help}{_default(p)} |" for p in options]
    return [*lines, ""]


def _shown(argument: Any) -> str:
    name = str(argument.name.upper())
    return f"[{name} …]" if argument.nargs == -1 else name


def _names(option: Any) -> str:
    first, *others = option.opts
    value = f" {option.metavar.replace('|', ', ')}" if option.metavar else ""
    return ", ".join(f"`{name}`" for name in [first + value, *others])


def _default(option: Any) -> str:
    if option.default in (None, False, [], ()):
        return ""
    return f" (default: {option.default})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
