"""``onnxbench doctor``."""

from typing import Annotated

import typer


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what is installed, what is missing, and what makes this host noisy."""
    print("later", json)
