"""ONNX Runtime's adapter with a witness: says what its process looks like around the runtime."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from onnxbench.runtimes.onnxruntime import OnnxRuntime


class ObservingAdapter(OnnxRuntime):
    @property
    def modules(self) -> tuple[str, ...]:
        """What the worker imports next; so this is the moment before."""
        assert "onnxruntime" not in sys.modules
        self.before = {
            "telemetry": os.environ.get("ORT_DISABLE_TELEMETRY"),
            "home": listing(Path.home()),
        }
        return ("onnxruntime",)

    def build(self, request: Any) -> Any:
        engine: Any = super().build(request)
        facts = engine.facts

        def observed() -> dict[str, Any]:
            pointers = []
            if engine._binding is not None:
                for _ in range(3):
                    engine.run()
                    values = engine._binding.get_outputs()
                    pointers.append([value.data_ptr() for value in values])
            engine.run()
            after = {"home": listing(Path.home()), "pointers": pointers}
            return {**facts(), "before": self.before, "after": after}

        engine.facts = observed
        return engine


def listing(folder: Path) -> list[str]:
    """Return every file below ``folder``, but for those that the harness itself puts there."""
    ours = {"job.json"}
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name not in ours)
