"""Every bad input ends as the corpus says it must."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onnxbench.errors import RefusedInput
from onnxbench.graph.preflight import preflight
from tests.corpus import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.graph.conftest import RunChild

REFUSED = [case for case in CASES if case.stage == "preflight" and not case.as_user]
ACCEPTED = [case for case in CASES if case.stage == "run"]

_NASTIEST = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from onnxbench.errors import RefusedInput
from onnxbench.graph.preflight import preflight
for path in sys.argv[1:]:
    try:
        preflight(Path(path))
    except RefusedInput as error:
        print(error.reason)
"""


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Give up root for a moment, for root may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_preflight_refuses(case: Case, tmp_path: Path) -> None:
    """A refusal has the expected code, says what happened in bounded length, and gives a hint."""
    path = case.build(tmp_path)
    with pytest.raises(RefusedInput) as caught:
        preflight(path)
    assert caught.value.reason == case.reason
    assert 0 < len(caught.value.message) < 1000
    assert caught.value.hint


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_preflight_leaves_to_the_runtime(case: Case, tmp_path: Path) -> None:
    """What only a runtime can judge passes."""
    assert preflight(case.build(tmp_path)).node_count > 0


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    """Permissions are respected and named."""
    (case,) = (case for case in CASES if case.as_user)
    path = case.build(tmp_path)
    with _as_nobody(), pytest.raises(RefusedInput) as caught:
        preflight(path)
    assert caught.value.reason == case.reason


def test_all_within_limits(tmp_path: Path, run_child: RunChild) -> None:
    """All refusals together need less than 2 GiB of addresses and a minute of CPU time."""
    paths = []
    for index, case in enumerate(REFUSED):
        folder = tmp_path / str(index)
        folder.mkdir()
        paths.append(case.build(folder))
    reasons = run_child(_NASTIEST, *paths).split()
    assert reasons == [case.reason for case in REFUSED]


def test_corpus_is_whole() -> None:
    """Every file-shaped line of the list of 46 has a case, and every name is used once."""
    assert {case.number for case in CASES} == set(range(1, 43))
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert (case.reason is not None) == (case.stage == "preflight")
        assert case.statuses
