"""Where onnxbench keeps what is the user's. Imports next to nothing, for quick commands ask it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def home() -> Path:
    """Return the folder of what onnxbench keeps for good: ``ONNXBENCH_HOME``, or the platform's.

    The platform's is ``XDG_DATA_HOME/onnxbench``, by default ``~/.local/share/onnxbench``.
    """
    chosen = os.environ.get("ONNXBENCH_HOME")
    if chosen:
        return Path(chosen).absolute()
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "onnxbench"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/onnxbench"
    # XDG Base Directory Specification: a relative path in the variable is to be ignored.
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local/share") / "onnxbench"


def calibrations() -> Path:
    """Return the folder of the calibrations of this and other hosts."""
    return home() / "calibration"
