"""The results store: one SQLite file that survives crashes, full disks and other tools.

`Store` appends and reads, `merge` copies from another file; ``docs/decisions/0002-sqlite-store.md``
says why it is as it is.
"""

from onnxbench.store.merge import Merged, merge
from onnxbench.store.rows import BadRow, RunRow, RunState
from onnxbench.store.store import Store

__all__ = ["BadRow", "Merged", "RunRow", "RunState", "Store", "merge"]
