"""What an author of a runtime adapter tests it with: ``AdapterContract``, a class of pytest tests.

Needs pytest only while it runs.
"""

from onnxbench.testing.contract import AdapterContract

__all__ = ["AdapterContract"]
