"""The command line as users start it."""

from __future__ import annotations

import sys
from pathlib import Path

ONNXBENCH = (sys.executable, str(Path(sys.executable).with_name("onnxbench")))
"""The console script that pip wrote beside this interpreter."""
