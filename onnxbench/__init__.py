"""onnxbench: how fast, big, accurate and hungry an ONNX model is, on every runtime you own.

This module stays free of imports: it is loaded in every worker process, on boards too.
"""

__version__ = "0.1.0"

SCHEMA = 1
"""Version of the JSON documents. Adding a field does not change it; nothing is ever renamed."""
