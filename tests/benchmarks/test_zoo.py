"""The page of the zoo says what the documents say: made-up ones, whose truth is known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks import machine
from benchmarks.analyzer import given
from benchmarks.zoo import __main__ as command
from benchmarks.zoo import documents, explained, published, rerun
from benchmarks.zoo.explained import Explanation
from benchmarks.zoo.render import render
from benchmarks.zoo.rerun import There, judge
from onnxbench import catalog
from onnxbench.errors import UsageError
from onnxbench.sources import Published
from onnxbench.types import JsonObject

CATALOGUE = """\
version: 1
models:
  - {id: plain, source: "torchvision:plain", task: image-classification, weights: random,
     published: [{source: "torchvision 0.28.0", size: 224, convention: pure,
                  params: 1000, macs: 2000000000}]}
  - {id: kept, source: "timm:kept", task: image-classification, weights: random,
     published: [{source: "timm results-imagenet.csv", size: 224, top1: 70},
                 {source: "timm infer-pt291.csv", size: 224, convention: fvcore,
                  params: 10000, macs: 90000000}]}
"""
EXPORT_LINE = (
    "| `plain` | torchvision | torch.onnx dynamo | random: seed 0 | 18 | 7 | 3.0 MiB | 12.5 "
    "| 512 MiB | 2.5e-06 | ok |"
)
COUNTS_LINE = (
    "| `plain` | 1,000 | 990 | 1,000 | 0 | 2.0000 G | 2.0000 G | 2.0000 G | 0 "
    "| torchvision 0.28.0 (pure) |"
)
TORCHVISION = Published("torchvision 0.28.0", "pure", size=224)


def said(model: str, **changed: Any) -> JsonObject:
    """Return what ``export --json`` says of a model that fits `CATALOGUE`."""
    source = {"params": 1000, "norm_params": 0, "buffers": 0, "macs": 2_000_000_000}
    graph = {"nodes": 7, "params": 990, "buffers": 0, "macs": 2 * 10**9, "preparation_macs": 0}
    row: JsonObject = {
        "id": model,
        "source": f"torchvision:{model}",
        "status": "ok",
        "error": None,
        "cached": False,
        "path": None,
        "seconds": 12.5,
        "exporter": "torchvision",
        "route": "torch.onnx dynamo",
        "weights": "random: seed 0",
        "opset": {"": 18},
        "bytes": 3 * 2**20,
        "peak_rss_bytes": 512 * 2**20,
        "parity": {"max_rel": 2.5e-6},
        "inputs": [{"name": "input", "dtype": "float", "shape": ["batch", 3, 224, 224]}],
        "counts": {"source": source, "graph": graph, "agree": True, "reason": ""},
        "created": "2026-11-22T15:00:00+00:00",
        "versions": {"torch": "2.13.0"},
    }
    return row | changed


def timm(**changed: Any) -> JsonObject:
    """Return what is said of the timm model of `CATALOGUE`."""
    counts = {
        "source": {"params": 10_000, "norm_params": 8, "buffers": 8},
        "graph": {"params": 9_990, "macs": 1},
    }
    return said("kept", source="timm:kept", exporter="timm", counts=counts, **changed)


def failed(model: str) -> JsonObject:
    """Return what is said of a model whose export failed."""
    return {
        "id": model, "source": f"timm:{model}", "status": "wrong-output", "cached": False,
        "path": None, "seconds": 9.0, "nodes": None, "params": None, "macs": None,
        "error": {"kind": "parity", "message": "the output is NaN", "hint": "", "phase": "verify"},
    }  # fmt: skip


def document(folder: Path, *rows: JsonObject, name: str = "exported.json") -> Path:
    """Write a document of ``rows``, which took 100 s."""
    path = folder / name
    path.write_text(json.dumps({"schema": 1, "seconds": 100.0, "artifacts": rows}))
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(CATALOGUE)
    return path


def page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], models: Path, *words: Path
) -> tuple[int, str]:
    """Return exit code and page of the command, whose first document is ``words[0]``."""
    exported, *kept = map(str, words)
    given = ["zoo", "--models", str(models), "--exported", exported]
    monkeypatch.setattr("sys.argv", given + (["--kept", *kept] if kept else []))
    code = command.main()
    return code, capsys.readouterr().out


def test_what_fits_is_told_with_its_seconds_memory_and_machine(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(explained, "EXPLANATIONS", ())
    exported = document(tmp_path, said("plain"), timm(seconds=7.5))
    code, text = page(monkeypatch, capsys, models, exported)
    assert code == 0
    for line in (
        "| exported and verified | 2 of 2 models (100.0%) |",
        "| sum over models | 20 s (2 models) |",
        "| median of a model | 10.0 s |",
        "| slowest | `plain` 12 s, `kept` 8 s |",
        "| MACs as published, within rounding | 1 of 1 compared, 1 more not compared |",
        "| parameters as published, within rounding | 2 of 2 compared |",
        "| differences and failures | 0, 0 of them not explained |",
        "| timm | 1 | 1 | 8 s | 7.5 s | 512 MiB |",
        EXPORT_LINE,
        COUNTS_LINE,
    ):
        assert line in text.splitlines()
    assert "2026-11-22T15:00:00+00:00: torch 2.13.0." in text
    assert "cores, " in text.rpartition("This page: ")[2]


def test_what_is_not_explained_is_listed_and_fails(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    off = said("plain")
    off["counts"]["source"]["params"] = 1001
    exported = document(tmp_path, off, failed("kept"))
    why = Explanation("k*", "export", "nobody initialises it well.")
    monkeypatch.setattr(explained, "EXPLANATIONS", (why,))
    code, text = page(monkeypatch, capsys, models, exported)
    assert code == 1
    lines = text.splitlines()
    assert (
        "| `plain` | params | 1,000 | 1,001 | +0.10% | torchvision 0.28.0 | **not explained** |"
        in lines
    )
    assert "| `kept` | wrong-output: the output is NaN | nobody initialises it well. |" in lines
    assert "| exported and verified | 1 of 2 models (50.0%) |" in lines
    assert "| sum over models | 12 s (1 models) |" in lines, "a failure is no export"
    assert "| parameters as published, within rounding | 0 of 1 compared |" in lines
    assert "| differences and failures | 2, 1 of them not explained |" in lines


def test_a_model_of_which_no_document_tells_is_missing(models: Path, tmp_path: Path) -> None:
    zoo = command.compare([document(tmp_path, said("plain"))], [], (), models)
    assert [(each.id, each.what) for each in zoo.differences] == [("kept", "export")]
    text = render(zoo, machine.since(machine.look(0.01)))
    assert "| `kept` | no document tells of it | **not explained** |" in text.splitlines()


def test_a_stale_explanation_fails(models: Path, tmp_path: Path) -> None:
    exported = [document(tmp_path, said("plain"), timm())]
    for pattern, what in (("plain", "params"), ("*", "size"), ("gone", "macs")):
        old = Explanation(pattern, what, "it was so")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="nothing needs any more: .*" + what):
            command.compare(exported, [], [old], models)


def test_an_explanation_of_what_is_not_compared_stays(models: Path, tmp_path: Path) -> None:
    failing = [document(tmp_path, said("plain"), failed("kept"))]
    partly = [document(tmp_path, said("plain"), name="partly.json")]
    whole = [document(tmp_path, said("plain"), timm(), name="whole.json")]
    for exported, what in ((failing, "params"), (partly, "export"), (whole, "macs")):
        needed = Explanation("*", what, "it is so")  # type: ignore[arg-type]
        command.compare(exported, [], [needed], models)


@pytest.mark.parametrize("explanation", explained.EXPLANATIONS, ids=str)
def test_every_explanation_speaks_of_a_model_of_the_catalogue(explanation: Explanation) -> None:
    known = catalog.load(Path(__file__).parents[2] / "models.yaml").models
    assert any(explanation.covers(model, explanation.what) for model in known)


@pytest.mark.parametrize(
    ("source", "what", "theirs", "ours", "differs"),
    [
        ("torchvision 0.28.0", "macs", 4_089_000_000, 4_089_500_000, False),
        ("torchvision 0.28.0", "macs", 4_089_000_000, 4_089_500_001, True),
        ("torchvision 0.28.0", "macs", 4_089_000_000, 4_088_499_999, True),
        ("torchvision 0.28.0", "params", 1_000, 1_001, True),
        ("timm infer-pt291.csv at aa4b585", "macs", 360_000_000, 365_000_000, False),
        ("timm infer-pt291.csv at aa4b585", "macs", 300_000_000, 305_000_001, True),
        ("timm infer-pt291.csv at aa4b585", "params", 22_000_000, 22_005_000, False),
        ("timm infer-pt291.csv at aa4b585", "params", 22_000_000, 22_005_001, True),
        ("PaddleClas ImageNet1k README", "params", 5_310_000, 5_304_999, True),
        ("PaddleClas ImageNet1k README", "params", 22_000_000, 22_320_552, False),
        ("PaddleClas ImageNet1k README", "macs", 18_250_000, 18_255_001, True),
        ("PaddleClas ImageNet1k README", "macs", 18_250_000, 18_245_000, False),
        ("counted on the file", "macs", 1_000_000, 1_000_001, True),
        ("arXiv:1707.07012, table 2", "params", 5_300_000, 5_350_000, False),
        ("arXiv:1707.07012, table 2", "params", 5_300_000, 5_350_001, True),
        ("arXiv:1707.07012, table 2", "macs", 564_000_000, 564_500_001, True),
    ],
)
def test_half_a_unit_of_the_last_place_is_rounding(
    source: str, what: str, theirs: int, ours: int, *, differs: bool
) -> None:
    row = documents.Row("net", "timm", "ok")
    if what == "params":
        compared = published.Comparison(row, Published(source, params=theirs), ours, None)
    else:
        compared = published.Comparison(row, Published(source, macs=theirs), None, ours)
    found = [(each.what, each.published, each.ours) for each in compared.differences()]
    assert found == ([(what, theirs, ours)] if differs else [])


@pytest.mark.parametrize(
    ("sides", "differs"), [((224, 224), []), ((224, 256), [256]), ((192, 192), [192]), (None, [])]
)
def test_the_published_size_is_that_of_the_input(
    sides: tuple[int, int] | None, differs: list[int]
) -> None:
    row = documents.Row("net", "torchvision", "ok", sides=sides)
    compared = published.Comparison(row, TORCHVISION, None, None)
    assert [each.ours for each in compared.differences() if each.what == "size"] == differs


def test_each_source_is_counted_as_it_counts(models: Path) -> None:
    spec = catalog.load(models).models["plain"]
    row = documents.Row(
        "plain", "torchvision", "ok", source_params=10, source_buffers=4, params=9, macs=100,
        preparation_macs=3,
    )  # fmt: skip

    def ours(exporter: str, convention: str | None) -> tuple[int | None, int | None]:
        says = dataclasses.replace(
            spec, published=(Published("somebody", convention, params=1, macs=1),)
        )
        by = dataclasses.replace(row, exporter=exporter)
        (found,) = published.comparisons(says, by, {"plain": {"fvcore": 120, "paddle": 130}})
        return found.params, found.macs

    assert ours("torchvision", "pure") == (10, 103), "what reads constants alone runs there"
    assert ours("torch", None) == (10, 100)
    assert ours("timm", "fvcore") == (10, 120)
    assert ours("paddle", "paddle") == (14, 130), "with the running statistics"


def test_a_normalization_that_is_kept_counts_for_timm(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.onnx"
    onnx.save(_conv_and_norm(), path)
    row = documents.read([document(tmp_path, timm(path=str(path)))]).rows["kept"]
    known = catalog.load(models).models
    # 64 filters of 3·3·3 at 224² places, and 2 for each element that is normalized.
    macs = 64 * 27 * 224**2 + 2 * 64 * 224**2
    counted = {"kept": {"fvcore": macs}}
    assert published.kept_macs(known, {"kept": row}, {}) == counted
    assert published.kept_macs(known, {}, {"kept": row}) == {}, "something may be folded"
    nothing_to_fold = dataclasses.replace(row, norm_params=0)
    assert published.kept_macs(known, {}, {"kept": nothing_to_fold}) == counted
    exported, apart = tmp_path / "exported.json", document(tmp_path, timm(), name="apart.json")
    assert len(command.compare([apart], [exported], (), models).compared) == 1
    gone = documents.Row("kept", "timm", "ok", path=str(tmp_path / "gone.onnx"))
    assert published.kept_macs(known, {"kept": gone}, {}) == {"kept": {}}, "not counted is not 0"


def test_a_second_document_goes_on_with_the_first(tmp_path: Path) -> None:
    first = document(tmp_path, said("plain"), failed("kept"), name="first.json")
    again = document(
        tmp_path, said("plain", cached=True, seconds=0.01), timm(seconds=8.0), name="again.json"
    )
    both = documents.read([first, again])
    assert both.seconds == 200.0
    assert both.rows["plain"].seconds == 12.5
    assert both.rows["kept"].good
    assert documents.read([again]).rows["plain"].seconds is None, "finding it is no export"


def test_what_is_no_document_is_refused_with_what_to_type(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "bad.json"
    for text in ("{", "[]", '{"seconds": 1, "artifacts": [{"id": "x"}]}'):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"bad\.json is no document") as caught:
            documents.read([path])
        assert "onnxbench export" in caught.value.hint
    with pytest.raises(UsageError, match="other was exported, but is not in the catalogue"):
        command.compare([document(tmp_path, said("other"))], [], (), models)


def test_counts_that_differ_inside_onnxbench_are_a_difference(models: Path, tmp_path: Path) -> None:
    counts = {"agree": False, "reason": "3 convolutions in the graph, 4 in the source"}
    zoo = command.compare(
        [document(tmp_path, said("plain", counts=counts), timm())], [], (), models
    )
    assert [(each.id, each.what, each.told) for each in zoo.differences] == [
        ("plain", "counts", counts["reason"])
    ]


def test_a_rerun_is_met_when_its_whole_interval_is_low_and_nothing_is_missing() -> None:
    all_there = There(2, ("a", "b"))
    assert judge(all_there, [1_500_000_000, 1_510_000_000, 1_490_000_000]).met
    assert not judge(all_there, [1_900_000_000, 2_100_000_000, 1_900_000_000]).met
    partly = judge(There(3, ("a", "b")), [1_500_000_000, 1_510_000_000, 1_490_000_000])
    assert not partly.met
    assert partly.measured.endswith("2 of 3 models unchanged")
    assert judge(There(0, ()), []).measured.startswith("no models exported")


def test_a_rerun_is_measured_in_a_home_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("LOCK", "STORE", "CACHE"):
        monkeypatch.setenv(f"ONNXBENCH_{variable}", str(tmp_path / variable))
    monkeypatch.setenv(given.EXPORTED, str(tmp_path / "home"))
    figure = rerun.measure(tiny=True)
    assert figure.measured.endswith("9 of 9 models unchanged"), "though the home was empty before"
    assert len(figure.raw["wall_ns"]) == 2
    assert (tmp_path / "home" / "artifacts" / "requests").is_dir()


def _conv_and_norm() -> onnx.ModelProto:
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 224, 224])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64, 224, 224])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("scale", "bias", "mean", "var"), (64,))
    shapes["w"] = (64, 3, 3, 3)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["y"]),
        ],
        "net",
        [picture],
        [out],
        [
            numpy_helper.from_array(np.ones(shape, np.float32), name)
            for name, shape in shapes.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
