"""What is typed wrong: exit code 2, one sentence, one hint, one document, nothing measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Typed, onnxbench

WRONG = [
    ["--no-such-option"],
    ["--batch", "0"],
    ["--batch", "-1"],
    ["--batch", "x"],
    ["--batch", "1-"],
    ["--batch", "99999999999999999999"],
    ["--batch", "1-100000"],
    ["--batch", "1-8*1"],
    ["--threads", "0"],
    ["--dim", "N"],
    ["--dim", "N=0"],
    ["--dim", "N=-1"],
    ["--dim", "N=1", "--dim", "N=2"],
    ["--dim", "zebra=1"],
    ["--shape", "x"],
    ["--shape", "x:1xa"],
    ["--shape", "zebra:1x4"],
    ["--boundary", "moon"],
    ["--boundary", ","],
    ["--set", "key"],
    ["--set", "key=a,,b"],
    ["--set", "key=1-2000+1"],
    ["--set", "openvino.key=1"],
    ["--set", "cpu.=1"],
    ["--precision", ","],
    ["--shape", "x:1-4x4"],
    ["--batch", "1-500", "--threads", "1-500"],
    ["--seed", "-1"],
    ["--processes", "0"],
    ["--iters", "0"],
    ["--iters", "1.5"],
    ["--min-time", "soon"],
    ["--warmup", "-1"],
    ["--max-noise", "0"],
    ["--max-noise", "100%"],
    ["--max-noise", "nan"],
    ["--budget", "x"],
    ["--timeout", "1d"],
    ["--cell-timeout", "x"],
    ["--max-memory", "much"],
    ["--runtime", ","],
    ["--runtime", "zebra"],
    ["--inputs", "nowhere.npz"],
    ["--models", "nowhere.yaml", "an-id"],
    ["no-such-id"],
    ["nowhere.onnx"],
    ["nul\x1bname.onnx"],
    ["--suite", "no-such-suite"],
    ["-o", "out.pdf"],
]


def test_a_usage_error_in_a_process_of_its_own(relu: Path) -> None:
    ran = onnxbench("run", relu, "--no-such-option", "--json")
    assert (ran.code, set(ran.document)) == (2, {"error"})


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_usage_error_is_one_document(
    relu: Path, place: Path, typed: Typed, words: list[str]
) -> None:
    ran = typed("run", relu, *words, "--json")
    assert ran.code == 2
    error = ran.document["error"]
    assert set(error) == {"kind", "message", "hint"}
    assert error["message"]
    assert ran.err.startswith("error: ")
    assert "\x1b" not in ran.err
    assert len(ran.err.splitlines()) <= 2
    if not any(flag in words for flag in ("--dim", "--shape")):  # known after pre-flight only
        assert not (place / "results.db").exists()


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--btach", "1"], "--batch"),
        (["squeezenet-lihgt"], "squeezenet-light"),
        (["--suite", "clasics"], "classics"),
        (["-r", "cpuu"], "cpu"),
        (["--shape", "xx:1x4"], "x"),
    ],
)
def test_the_nearest_name_is_offered(relu: Path, typed: Typed, words: list[str], near: str) -> None:
    assert near in typed("run", relu, *words).err


def test_unknown_and_missing_commands(typed: Typed) -> None:
    for words in (["rnu"], ["list", "runz"]):
        assert typed(*words).code == 2
    for words in ([], ["list"]):
        ran = typed(*words)
        assert "Usage" in ran.out + ran.err
        assert ran.code in (0, 2)
