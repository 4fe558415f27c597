"""Commands whose parameters are texts and flags, so that typer need not import pydantic for them.

typer builds a pydantic adapter for every parameter, given or not. That takes 0.1 s, a third of what
``onnxbench analyze`` takes in all.
"""

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup


class PlainCommand(TyperCommand):
    """Passes texts, lists of texts and flags on as they are; other values go typer's way."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, ``--help`` too."""
        return _made_plain(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """The same for the options of a group."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, ``--help`` too."""
        return _made_plain(super().get_params(ctx))


def _made_plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if "process_value" not in vars(parameter):
            parameter.process_value = _plain(parameter)
    return parameters


def _plain(parameter: Any) -> Callable[[Any, Any], Any]:
    typed: Callable[[Any, Any], Any] = parameter.process_value

    def process(context: Any, value: Any) -> Any:
        items = value if isinstance(value, list | tuple) else [value]
        is_missing = parameter.required and value is None
        if is_missing or not all(each is None or isinstance(each, str | bool) for each in items):
            return typed(context, value)
        call = parameter.callback
        return value if call is None else call(context, parameter, value)

    return process
