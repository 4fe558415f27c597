"""Exporting real torch networks through real child processes: good, bad, again, and interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest

from onnxbench.artifacts import ArtifactFolder
from onnxbench.errors import ExportError
from onnxbench.exporting import Exported, Exports, Options
from onnxbench.intake import take_in
from onnxbench.sources import BATCH, InputSpec
from onnxbench.types import ModelSpec

NETWORKS = Path(__file__).parent / "exporters" / "networks.py"
RANDOM = Options(weights="random")


@pytest.fixture(autouse=True)
def place(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("torch") is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to run these tests; torch is absent")
        pytest.skip("needs torch")
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("ONNXBENCH_CACHE", str(cache))
    monkeypatch.setenv("ONNXBENCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFolder:
    """One for all tests that need `small` exported: only the first of them waits for it."""
    return ArtifactFolder(tmp_path_factory.mktemp("shared"))


def network(name: str, path: Path = NETWORKS, **arguments: object) -> ModelSpec:
    return ModelSpec(
        id=name,
        source=f"torch:{path}:{name}",
        inputs=(InputSpec("image", (BATCH, 3, 16, 16)),),
        arguments=tuple(arguments.items()),
    )


def export(folder: ArtifactFolder, spec: ModelSpec, options: Options = RANDOM) -> Exported:
    return Exports(options, folder).export(spec)


def assert_nothing_left(folder: ArtifactFolder) -> None:
    assert not any((folder.root / "partial").iterdir())


def test_an_export_is_verified_and_kept_with_where_it_came_from(shared: ArtifactFolder) -> None:
    done = export(shared, network("small"))
    assert done.status == "ok", done.error
    assert done.kept is not None
    told = done.kept.sidecar
    assert told["parity"]["passed"]
    assert [case["batch"] for case in told["parity"]["cases"]] == [1, 3]
    assert told["parity"]["max_rel"] < 1e-5
    assert told["weights"] == "random: seed 0"
    assert told["dynamic_batch"]
    assert told["versions"]["torch"]
    # 3 to 8 channels of 3 x 3 at 16 x 16, and 8 x 5 in the classifier.
    source = {"params": 8 * 27 + 16 + 45, "norm_params": 16, "buffers": 16}
    counted = {"macs": 8 * 27 * 256 + 40, "convolutions": 1, "matmuls": 1}
    assert told["counts"]["source"] == source | counted
    assert told["counts"]["graph"]["macs"] == 8 * 27 * 256 + 40
    assert told["counts"]["agree"], told["counts"]["reason"]
    assert told["peak_rss_bytes"] > 50e6
    assert done.kept.path.parent.name == told["sha256"]
    graph = onnx.load(done.kept.path).graph
    assert graph.input[0].name == "image"
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert not [node for node in graph.node if node.op_type == "BatchNormalization"]
    assert_nothing_left(shared)


def test_what_is_unchanged_is_not_exported_again(folder: ArtifactFolder, tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    shutil.copy(NETWORKS, source)
    spec = network("small", source)
    first, second = export(folder, spec), export(folder, spec)
    assert (first.cached, second.cached) == (False, True)
    assert second.kept == first.kept
    again = export(folder, spec, replace(RANDOM, fresh=True))
    assert not again.cached
    assert again.kept is not None
    assert first.kept is not None
    assert again.kept.sha256 == first.kept.sha256, "the same request gives the same bytes"
    source.write_text(source.read_text().replace("width: int = 8", "width: int = 4"))
    changed = export(folder, spec)
    assert not changed.cached
    assert changed.kept is not None
    assert changed.kept.sha256 != first.kept.sha256


@pytest.mark.parametrize(
    "other",
    [
        replace(RANDOM, seed=1),
        replace(RANDOM, keep_bn=True),
        replace(RANDOM, opset=19),
        Options(weights="pretrained"),
    ],
    ids=lambda options: f"{options.seed} {options.keep_bn} {options.opset} {options.weights}",
)
def test_what_changes_the_bytes_is_another_request(folder: ArtifactFolder, other: Options) -> None:
    first, second = export(folder, network("small")), export(folder, network("small"), other)
    assert second.status == "ok", second.error
    assert not second.cached
    assert first.kept is not None
    assert second.kept is not None
    assert first.kept.sha256 != second.kept.sha256
    told = second.kept.sidecar
    assert told["opset"][""] == (other.opset or 18)
    if other.keep_bn:
        assert told["counts"]["graph"]["params"] == told["counts"]["source"]["params"]
        assert told["counts"]["graph"]["buffers"] == told["counts"]["source"]["buffers"]
    assert told["counts"]["agree"], told["counts"]["reason"]


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("not-finite", "wrong-output", "the source itself gives 5 NaN or infinite of 5 values"),
        ("another-graph", "wrong-output", "ONNX Runtime and torch"),
        ("crash", "crashed", "SIGSEGV"),
        ("raise", "error", "no such"),
    ],
)
def test_a_bad_network_is_a_row_with_a_reason_and_leaves_nothing(
    folder: ArtifactFolder, what: str, status: str, says: str
) -> None:
    # As the function built them: redrawing the weights runs the network too.
    options = Options(weights="pretrained")
    done = export(folder, network("odd", what=what), options)
    assert done.error is not None
    assert done.status == status
    assert says in done.error["message"]
    assert done.kept is None
    assert not (folder.root / "requests").exists()
    assert_nothing_left(folder)


def test_a_mismatch_shows_its_numbers(folder: ArtifactFolder) -> None:
    spec = network("odd", what="another-graph")
    document = export(folder, spec, Options(weights="pretrained")).document()
    assert document["parity"]["max_abs"] == pytest.approx(1.0, rel=1e-3)
    assert document["path"] is None


def test_a_network_that_never_ends_is_ended(folder: ArtifactFolder) -> None:
    options = Options(weights="pretrained", limit_s=6)
    done = export(folder, network("odd", what="hang"), options)
    assert done.status == "timeout-hard"
    assert done.error is not None
    assert done.error["hint"] == "raise --timeout"
    assert_nothing_left(folder)


def test_one_failure_does_not_stop_the_others(folder: ArtifactFolder) -> None:
    specs = [network("odd", what="crash"), network("small"), network("no_module")]
    specs = [replace(spec, id=str(number)) for number, spec in enumerate(specs)]
    begun: list[str] = []
    options = Options(weights="pretrained")
    ended = Exports(options, folder).all_of(specs, 2, lambda spec: begun.append(spec.id))
    statuses = {done.spec.id: done.status for done in ended}
    assert statuses == {"0": "crashed", "1": "ok", "2": "error"}
    assert sorted(begun) == ["0", "1", "2"]


def test_stopping_ends_what_runs(folder: ArtifactFolder) -> None:
    exports = Exports(Options(weights="pretrained"), folder)
    specs = [network("odd", what="hang"), network("odd", what="hang")]
    began = threading.Event()
    ended = exports.all_of(specs, 2, lambda _: began.set())

    def wait() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            next(ended, None)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert began.wait(30)
    time.sleep(1)
    assert exports._stop is not None
    exports._stop.set()
    waiting.join(30)
    assert not waiting.is_alive()
    assert_nothing_left(folder)


def test_a_file_is_taken_where_it_is(shared: ArtifactFolder, tmp_path: Path) -> None:
    made = export(shared, network("small"))
    assert made.kept is not None
    model = tmp_path / "m.onnx"
    shutil.copy(made.kept.path, model)
    spec = ModelSpec("m.onnx", f"file:{model}", weights="file")
    done, again = export(shared, spec, Options()), export(shared, spec, Options())
    assert (done.status, again.cached) == ("ok", True)
    assert done.kept is not None
    assert done.kept.path == model
    assert done.kept.sha256 == made.kept.sha256
    refused = tmp_path / "bad.onnx"
    refused.write_text("<html>")
    assert export(shared, ModelSpec("b", f"file:{refused}")).status == "refused-input"


def test_a_file_is_rewritten_and_compared_with_itself(
    folder: ArtifactFolder, shared: ArtifactFolder, tmp_path: Path
) -> None:
    made = export(shared, network("small"))
    assert made.kept is not None
    model = tmp_path / "m.onnx"
    shutil.copy(made.kept.path, model)
    spec = ModelSpec("m.onnx", f"file:{model}", weights="file")
    done = export(folder, spec, Options(simplify=True, opset=19))
    assert done.status == "ok", done.error
    assert done.kept is not None
    told = done.kept.sidecar
    assert (told["opset"], told["passes"]) == ({"": 19}, ["simplify"])
    assert told["parity"]["reference"].startswith("onnx ")
    assert told["counts"]["agree"], told["counts"]["reason"]
    assert done.kept.path != model


def test_locating_exports_on_demand(shared: ArtifactFolder, tmp_path: Path) -> None:
    found = Exports(RANDOM, shared).locate(network("small"), tmp_path)
    assert found.path.is_relative_to(shared.root)
    assert found.weights == "random: seed 0"
    assert found.origin is not None
    assert found.origin.exporter == "onnxbench.exporters.torch_module:TorchExporter"
    assert found.origin.request["location"] == network("small").location
    assert Exports(RANDOM, shared).locate(network("small"), tmp_path) == found, "from the cache too"
    file = ModelSpec("m", f"file:{found.path}")
    assert Exports(RANDOM, shared).locate(file, tmp_path).origin is None
    with pytest.raises(ExportError, match="no_module") as caught:
        Exports(RANDOM, shared).locate(network("no_module"), tmp_path)
    assert caught.value.hint


def test_the_document_is_json(shared: ArtifactFolder) -> None:
    document = export(shared, network("small")).document()
    assert json.loads(json.dumps(document))["macs"] == 8 * 27 * 256 + 40
    assert document["nodes"] > 3


class _Breaks:
    name = "torch"
    revision = 1
    environment = ""
    modules = ("torch",)
    distributions = ("torch",)

    def load(self, request: object) -> object:
        raise AssertionError

    def files(self, location: str) -> list[Path]:
        raise ZeroDivisionError(location)


def test_a_plug_in_that_breaks_here_is_a_row_too(
    folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxbench.registry.load", lambda _: _Breaks())
    done = export(folder, network("small"))
    assert (done.status, done.kept) == ("error", None)
    assert done.error is not None
    assert "ZeroDivisionError" in done.error["message"]
    assert done.error["hint"]


def test_how_an_export_failed_is_told_to_who_wanted_to_measure(
    folder: ArtifactFolder, tmp_path: Path
) -> None:
    exports = Exports(Options(weights="pretrained"), folder)
    found = take_in(
        network("odd", what="crash"), exports, inputs=None, keep=tmp_path, memory_bytes=None
    )
    assert found.preflight.status == "crashed"
    assert found.preflight.error is not None
    assert found.preflight.error["kind"] == "SIGSEGV"


def test_every_field_is_there_when_an_export_failed(folder: ArtifactFolder) -> None:
    good = {"sha256", "bytes", "weights", "opset", "parity", "nodes", "params", "macs", "path"}
    document = export(folder, network("no_module")).document()
    assert document["exporter"] == "torch"
    assert {name: document[name] for name in good} == dict.fromkeys(good)


def test_a_rewritten_file_keeps_the_word_for_its_weights(
    folder: ArtifactFolder, tmp_path: Path
) -> None:
    spec = ModelSpec("squeezenet-light", "onnx-light:squeezenet", weights="light")
    done = export(folder, spec, Options(opset=13))
    assert done.status == "ok", done.error
    assert done.kept is not None
    assert done.kept.sidecar["weights"] == "light"
