"""``onnxbench list models``: filters, wildcards, and what it shows of an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Typed

CATALOGUE = """
version: 1
suites: {two: [net-b, other]}
models:
  - id: net-a
    source: "file:a.onnx"
    family: net
    tags: [cnn, small]
    published:
      - {source: first, top1: 70, params: 25557032}
      - {source: second, params: 1, macs: 4089184256}
  - {id: net-b, source: "file:b.onnx", family: net, tags: [cnn], weights: random}
  - {id: other, source: "file:c.onnx", family: rest, tags: [small]}
"""


@pytest.fixture
def catalogue(place: Path) -> Path:
    path = place / "models.yaml"
    path.write_text(CATALOGUE)
    return path


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ([], ["net-a", "net-b", "other"]),
        (["net-*"], ["net-a", "net-b"]),
        (["other", "*-a"], ["other", "net-a"]),
        (["--family", "rest"], ["other"]),
        (["--family", "rest,net"], ["net-a", "net-b", "other"]),
        (["--tag", "cnn,small"], ["net-a"]),
        (["--tag", "cnn", "--tag", "small"], ["net-a"]),
        (["--suite", "two"], ["net-b", "other"]),
        (["--suite", "two", "--family", "net"], ["net-b"]),
        (["--suite", "two", "*-a"], []),
    ],
    ids=" ".join,
)
def test_every_filter_narrows_the_list(
    catalogue: Path, typed: Typed, words: list[str], ids: list[str]
) -> None:
    ran = typed("list", "models", *words, "--models", catalogue, "--json")
    assert ran.code == 0
    assert [model["id"] for model in ran.document["models"]] == ids


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["net_a"], "did you mean net-a?"),
        (["nett*"], "did you mean net*?"),
        (["--family", "nett"], "did you mean net?"),
        (["--tag", "cnn,smal"], "did you mean small?"),
        (["--suite", "tow"], "did you mean two?"),
    ],
    ids=" ".join,
)
def test_an_unknown_name_is_refused_with_the_nearest(
    catalogue: Path, typed: Typed, words: list[str], hint: str
) -> None:
    ran = typed("list", "models", *words, "--models", catalogue)
    assert ran.code == 2
    assert hint in ran.err


def test_the_table_shows_the_first_published_figure_and_counts(
    catalogue: Path, typed: Typed
) -> None:
    ran = typed("list", "models", "net-*", "--models", catalogue)
    line = next(line for line in ran.out.splitlines() if line.startswith("net-a"))
    assert line.split()[-6:] == ["25.6", "M", "4.09", "G", "70.0", "%"]
    assert "2 models of 3; catalogue: " in ran.out


def test_run_takes_wildcards(catalogue: Path, models: Path, typed: Typed) -> None:
    for name in "abc":
        (catalogue.parent / f"{name}.onnx").write_bytes((models / "relu.onnx").read_bytes())
    ran = typed("run", "net-?", "--models", catalogue, "--dry-run", "--json")
    assert ran.code == 0
    assert [cell["model"]["id"] for cell in ran.document["plan"]["cells"]] == ["net-a", "net-b"]
