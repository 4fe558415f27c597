"""What one ``onnxbench export`` asks for, put together from its options; ``run`` shares some."""

from collections.abc import Callable, Sequence
from pathlib import Path

from onnxbench.cli import request as asked
from onnxbench.cli import values
from onnxbench.errors import UsageError
from onnxbench.exporting import LIMIT_S, Exports, Options
from onnxbench.probes import cpu, memory
from onnxbench.sources import WeightsChoice
from onnxbench.text import safe_text
from onnxbench.types import ModelSpec


def export_specs(
    models: Sequence[str], suite: str | None, catalog: Path | None
) -> tuple[ModelSpec, ...]:
    """Return the models that were named, or else all of the catalogue."""
    if models or suite is not None:
        return asked.specs(models, suite, catalog)
    from onnxbench.catalog import load

    return tuple(load(catalog).models.values())


def weights(text: str | None) -> WeightsChoice | None:
    """Return the choice of weights. Raises UsageError for any other word."""
    known: dict[str, WeightsChoice] = {"pretrained": "pretrained", "random": "random"}
    if text is None or text in known:
        return None if text is None else known[text]
    message = f"--weights {safe_text(text)}: weights are pretrained or random"
    raise UsageError(message, "--weights random")


def memory_bytes(text: str | None, jobs: int) -> int | None:
    """Return what one child may use: as asked, else its share of what is free now."""
    if text is not None:
        return values.size_bytes(text, "--max-memory")
    available_bytes = memory.available_bytes()
    if available_bytes is None:
        return None
    return int(available_bytes * asked.MEMORY_SHARE / jobs)


def threads(jobs: int) -> int:
    """Return how many threads each of ``jobs`` children may use."""
    return max(1, cpu.default_threads()[0] // jobs)


def on_demand(
    choice: WeightsChoice | None = None,
    *,
    say: Callable[[ModelSpec], None],
    memory: int | None = None,
    left_s: float | None = None,
) -> Exports:
    """Return what exports the models that a command is given by id.

    ``memory``: bytes that the command's children may use; ``left_s``: seconds that it has left.
    """
    options = Options(
        weights=choice,
        memory_bytes=memory_bytes(None, 1) if memory is None else memory,
        threads=threads(1),
        limit_s=LIMIT_S if left_s is None else min(LIMIT_S, left_s),
    )
    return Exports(options, say=say)
