"""An adapter around another one that calls ``interrupt`` whenever it can be called.

It travels in the worker bundle beside the adapter under test, whose reference is in option
``contract.adapter``; this file knows nothing but the bundle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxbench.types import Capability
from onnxbench.worker.main import load_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxbench.protocols import Engine, Tensor
    from onnxbench.types import BuildRequest, JsonObject, OpTime, PlacementDoc

OPTION = "contract.adapter"
RUNS = 5


class InterruptingAdapter:
    """Builds an `InterruptingEngine` around the engine of the adapter that the option names."""

    name = "interrupting"
    modules: tuple[str, ...] = ()

    def probe(self) -> Capability:
        """Always there."""
        return Capability(self.name, available=True)

    def build(self, request: BuildRequest) -> InterruptingEngine:
        """Build the adapter's own engine, and interrupt it before it has any inputs."""
        options = dict(request.options)
        adapter = load_adapter(options.pop(OPTION))
        for module in adapter.modules:
            importlib.import_module(module)
        return InterruptingEngine(adapter.build(dataclasses.replace(request, options=options)))


class InterruptingEngine:
    """Interrupts the engine before ``bind``, before, during and after its runs, and at its end.

    An interrupted run may fail as it likes, and so may those after it: the worker ends after the
    first. What counts is that ``interrupt`` itself raises nothing and that the process lives.
    """

    sync = None

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls = 0
        self._raised: list[str] = []
        self._interrupt()

    def bind(self, inputs: Sequence[Tensor]) -> None:
        """Bind the inputs between two interruptions."""
        with contextlib.suppress(Exception):
            self._engine.bind(inputs)
        self._interrupt()

    def run(self) -> None:
        """Run a few times while another thread interrupts."""
        for _ in range(RUNS):
            finished = threading.Event()
            other = threading.Thread(target=self._interrupt_until, args=(finished,))
            other.start()
            with contextlib.suppress(Exception):
                self._engine.run()
                if self._engine.sync is not None:
                    self._engine.sync()
            finished.set()
            other.join()
        self._interrupt()

    def outputs(self, result: object) -> dict[str, Any]:
        """Return no answer: there may be none."""
        del result
        return {"calls": np.zeros(1)}

    def facts(self) -> JsonObject:
        """Return how often ``interrupt`` was called and what it raised."""
        return {"calls": self._calls, "raised": self._raised}

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return no placement."""
        return [], None

    def op_times(self) -> list[OpTime]:
        """Return no operators."""
        return []

    def interrupt(self) -> None:
        """Interrupt the engine."""
        self._interrupt()

    def close(self) -> None:
        """Interrupt once more, and close the engine."""
        self._interrupt()
        self._engine.close()

    def _interrupt_until(self, finished: threading.Event) -> None:
        while not finished.is_set():
            self._interrupt()
            time.sleep(1e-4)

    def _interrupt(self) -> None:
        self._calls += 1
        try:
            self._engine.interrupt()
        except Exception as error:  # noqa: BLE001 - any is one too many, and is reported
            self._raised.append(f"{type(error).__name__}: {error}")


INTERRUPTING = InterruptingAdapter()
