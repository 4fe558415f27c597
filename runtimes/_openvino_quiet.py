"""Import this before openvino: it keeps openvino from sending usage data.

``import openvino`` reports itself to Google Analytics through the package openvino_telemetry (tried
with openvino 2026.4.1), from a thread of its own, unless a file in the user's home says no. A
worker has a private home without that file. Where the package cannot be imported, openvino takes
its own stand-in that sends nothing.
"""

from __future__ import annotations

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # import then raises
