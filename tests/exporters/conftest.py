"""What the tests of the torch exporters share: requests, and a file read back by ONNX Runtime."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxbench.protocols import Exporter, Source
from onnxbench.sources import MODEL_FILE, ExportRequest, Written

NEEDED = ("torch", "torchvision", "timm", "onnxscript")


@dataclass(frozen=True)
class Exported:
    """A source, and the file that was written of it."""

    source: Source
    written: Written
    path: Path

    @cached_property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.path)

    @property
    def operators(self) -> Counter[str]:
        return Counter(node.op_type for node in self.model.graph.node)

    @property
    def float_elements(self) -> int:
        return sum(
            int(np.prod(each.dims, dtype=np.int64))
            for each in self.model.graph.initializer
            if each.data_type == onnx.TensorProto.FLOAT
        )

    def error(self, batch: int) -> float:
        """Return the largest difference between ONNX Runtime and torch, over the largest value."""
        generator = np.random.default_rng(batch)
        specs = self.source.facts.inputs
        arrays = [generator.standard_normal(s.sized(batch), dtype=np.float32) for s in specs]
        session = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        feed = dict(zip([spec.name for spec in specs], arrays, strict=True))
        got = session.run(list(self.source.facts.outputs), feed)
        expected = self.source.run(arrays)
        return max(
            float(abs(a - b).max() / abs(b).max()) for a, b in zip(got, expected, strict=True)
        )


class Load(Protocol):
    def __call__(self, exporter: Exporter, location: str, **more: Any) -> Source: ...


class Export(Protocol):
    def __call__(self, exporter: Exporter, location: str, **more: Any) -> Exported: ...


@pytest.fixture(scope="session")
def torch_exporters() -> None:
    """Skip without what the three torch exporters need; where CI is set, fail."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"CI has to run the tests of the torch exporters; absent: {missing}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture
def load(torch_exporters: None, tmp_path: Path) -> Load:
    def run(exporter: Exporter, location: str, **more: Any) -> Source:
        return exporter.load(ExportRequest("m", location, str(tmp_path), **more))

    return run


@pytest.fixture(scope="session")
def export(torch_exporters: None, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Export a network, or give what an equal call has exported already."""
    done: dict[str, Exported] = {}

    def run(exporter: Exporter, location: str, **more: Any) -> Exported:
        key = repr((exporter.name, location, more))
        if key not in done:
            folder = tmp_path_factory.mktemp("export")
            source = exporter.load(ExportRequest("m", location, str(folder), **more))
            done[key] = Exported(source, source.write(), folder / MODEL_FILE)
        return done[key]

    return run
