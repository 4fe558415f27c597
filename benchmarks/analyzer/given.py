"""What some figures need and no package of ours brings: variables say where it is."""

from __future__ import annotations

OTHER_TOOLS = "ONNXBENCH_OTHER_TOOLS"
"""A Python that has the other tools."""

ZOO = "ONNXBENCH_ZOO"
"""A folder of exported networks."""

EXPORTED = "ONNXBENCH_EXPORTED"
"""A home of onnxbench in which all of the catalogue is exported with random weights."""
