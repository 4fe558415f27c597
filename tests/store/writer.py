"""A process that appends children to STORE and says so on stdout after each: RUN BLOCK.

Usage: writer.py STORE LABEL COUNT (0: until it is killed or refused). A refusal is printed as
``refused: MESSAGE | HINT``.
"""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

from onnxbench.errors import StoreError
from onnxbench.store import Store
from onnxbench.types import Child, ChildResult


def main() -> None:
    path, label, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    noise = random.Random(label)
    try:
        with Store.open(path) as store:
            run_id = store.begin_run(plan_key=label, host_id="host", plan={}, tool={})
            for block in range(count) if count else itertools.count():
                samples = noise.randbytes(8 * noise.randrange(1, 400))
                result = ChildResult("ok", None, None, samples, block, 0, None, "", "2026-11-22")
                store.append_child(run_id, Child(label, block, "timed", result))
                sys.stdout.write(f"{run_id} {block}\n")
                sys.stdout.flush()
    except StoreError as exc:
        sys.stdout.write(f"refused: {exc} | {exc.hint}\n")


if __name__ == "__main__":
    main()
