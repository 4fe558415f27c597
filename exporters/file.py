"""``file:PATH``: an ONNX file that exists already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.errors import UsageError

if TYPE_CHECKING:
    from onnxbench.types import ModelSpec


class FileExporter:
    """Gives the file itself, unread and uncopied: pre-flight decides whether it is a model."""

    name = "file"

    def locate(self, spec: ModelSpec, folder: Path) -> Path:  # noqa: ARG002 - nothing is made
        """Return the absolute path of the file. Raises UsageError when there is none."""
        path = Path(spec.location)
        try:
            path.lstat()
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(
                f"{spec.location}: {reason}",
                "give the path of an ONNX file, or an id that `onnxbench list models` shows",
            ) from error
        return path.absolute()
