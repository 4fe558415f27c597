"""From a ModelSpec to an ONNX file: finds the exporter and asks it.

The content-addressed folder of exported files comes with the exporters that convert; the ones
here name a file that exists already.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from onnxbench.errors import ExportError, UsageError

if TYPE_CHECKING:
    from onnxbench.protocols import FileSource
    from onnxbench.types import ModelSpec


def spec_for_file(path: str) -> ModelSpec:
    """Return the ModelSpec of a file dropped on the command line; its id is the file's name."""
    from onnxbench.types import ModelSpec  # noqa: PLC0415 - `is_file_argument` has to be quick

    return ModelSpec(id=Path(path).name or path, source=f"file:{path}", weights="file")


def is_file_argument(text: str) -> bool:
    """Tell a path from a catalogue id: a path has a separator or ends in ``.onnx``."""
    return "/" in text or "\\" in text or text.lower().endswith(".onnx")


def locate(spec: ModelSpec, folder: Path) -> Path:
    """Return the ONNX file of ``spec``, made in ``folder`` if it does not exist yet.

    Raises UsageError for an unknown source or a missing file, ExportError otherwise.
    """
    from onnxbench import registry  # noqa: PLC0415

    exporter = cast("FileSource", registry.load(registry.find_exporter(spec.scheme)))
    try:
        return exporter.locate(spec, folder)
    except (UsageError, ExportError):
        raise
    except Exception as error:
        message = f"exporter {spec.scheme} failed on {spec.id}: {error}"
        raise ExportError(message, "onnxbench list models shows the catalogue") from error
