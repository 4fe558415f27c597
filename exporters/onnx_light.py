"""``onnx-light:NAME``: the classic networks that ship inside the ``onnx`` package.

They are the Caffe2 zoo networks of the package's backend tests, with the weights replaced by
``ConstantOfShape`` nodes: full topology in a few kilobytes. Their cost is that of the real
network; their outputs say nothing about the input.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import ExportError, UsageError
from onnxbench.suggest import did_you_mean

if TYPE_CHECKING:
    from onnxbench.types import ModelSpec

_PREFIX = "light_"


class OnnxLightExporter:
    """Gives the file inside the installed ``onnx`` package; never imports that package."""

    name = "onnx-light"

    def locate(self, spec: ModelSpec, folder: Path) -> Path:  # noqa: ARG002 - nothing is made
        """Return the file of ``spec``. Raises UsageError for a name that onnx does not ship."""
        files = _files()
        if spec.location not in files:
            raise UsageError(
                f"onnx ships no light network {spec.location}; it ships {', '.join(files)}",
                did_you_mean(spec.location, files),
            )
        return files[spec.location]


def _files() -> dict[str, Path]:
    # find_spec of a top-level package locates it without running its 0.3 s of imports.
    package = find_spec("onnx")
    for root in (package and package.submodule_search_locations) or ():
        folder = Path(root, "backend", "test", "data", "light")
        files = {p.stem.removeprefix(_PREFIX): p for p in sorted(folder.glob(f"{_PREFIX}*.onnx"))}
        if files:
            return files
    raise ExportError(
        "the installed onnx package holds no light networks", "pip install --force-reinstall onnx"
    )
