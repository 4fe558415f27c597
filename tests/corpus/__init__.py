"""The bad inputs of docs/method.md, built by code: what a hostile or a broken world sends us.

``CASES`` are model files, ``BAD_INPUTS`` files for ``--inputs``; each says what must become of it.
"""

from tests.corpus.case import Case
from tests.corpus.content import CONTENT
from tests.corpus.external import EXTERNAL
from tests.corpus.given import BAD_INPUTS, MARK, BadInput
from tests.corpus.running import HOSTILE_NAMES, RUNNING
from tests.corpus.structure import STRUCTURE

CASES: tuple[Case, ...] = (*CONTENT, *STRUCTURE, *EXTERNAL, *RUNNING)

__all__ = ["BAD_INPUTS", "CASES", "HOSTILE_NAMES", "MARK", "BadInput", "Case"]
