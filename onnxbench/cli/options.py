"""Options that several commands take with one meaning, each declared once.

``panel``: the heading of ``--help`` under which the option stands; None where a command has none.
"""

from typing import Any

import typer

OUTPUT = "Output"


def json_option(panel: str | None = None) -> Any:
    """Return ``--json``."""
    return typer.Option("--json", help="Print one JSON document.", rich_help_panel=panel)


def quiet_option(panel: str | None = None) -> Any:
    """Return ``--quiet``."""
    return typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=panel)


def models_option(panel: str | None = None, metavar: str | None = None) -> Any:
    """Return ``--models``. ``metavar``: what stands for the value, where it is no ``Path``."""
    return typer.Option(
        "--models", metavar=metavar, help="The models.yaml to use.", rich_help_panel=panel
    )


def store_option(panel: str | None = None) -> Any:
    """Return ``--store``, the results file that is written or read."""
    return typer.Option(
        "--store",
        help="Results file. Default: ONNXBENCH_STORE, else reports/results.db.",
        rich_help_panel=panel,
    )
