from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxbench.errors import ExportError
from onnxbench.exporters.torch_module import TorchExporter
from onnxbench.sources import BATCH, DATA_FILE, InputSpec

if TYPE_CHECKING:
    from tests.exporters.conftest import Export, Load

PICTURE = (InputSpec("input", (BATCH, 3, 16, 16)),)
NETWORKS = '''
import torch
from torch import nn


class Block(nn.Module):
    """A residual block whose last gamma is zero, as trainers like to begin with."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.scale = nn.Parameter(1e-6 * torch.ones(width, 1, 1))
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return x + self.scale * self.norm2(self.conv2(y))


def residual(width=48, classes=10):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(),
        Block(width), Block(width), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, classes),
    )


def plain(depth=30):
    layers = [nn.Sequential(nn.Linear(32, 32), nn.ReLU()) for _ in range(depth)]
    for layer in layers:
        layer[0].weight.data *= 1e-3
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 32), *layers)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 8)

    def forward(self, ids, x):
        y = self.table(ids).mean(1)
        return {"sum": y + x, "both": [y, x * 2]}


def pair():
    return Pair()


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.wide(x) if self.narrow is None else self.wide(x) + self.narrow(x)

    def switch_to_deploy(self):
        with torch.no_grad():
            self.wide.weight[:, :, 1:2, 1:2] += self.narrow.weight
            self.wide.bias += self.narrow.bias
        self.narrow = None


def branches():
    return nn.Sequential(Branches(), nn.Flatten())


class Frozen(nn.Module):
    def forward(self, x):
        return x.reshape(1, 768) @ torch.eye(768)


def frozen():
    return Frozen()


def infinite():
    class Infinite(nn.Module):
        def forward(self, x):
            return x.flatten(1) / 0
    return Infinite()


def broken():
    raise RuntimeError("no luck")


def number():
    return 3


def large():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 36_000))
'''


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("user") / "own_networks.py"
    path.write_text(NETWORKS)
    return str(path)


def initializers(model: onnx.ModelProto) -> dict[str, Any]:
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


def test_function_of_a_file_is_exported(export: Export, networks: str) -> None:
    exported = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE)
    assert exported.written.route == "torch.onnx dynamo"
    assert exported.written.dynamic_batch
    assert exported.source.facts.weights == "random: seed 0"
    assert exported.error(1) < 1e-5
    assert exported.error(3) < 1e-5
    counts = exported.source.counts()
    assert counts is not None
    # 14x14 outputs of 3x3 kernels: 3 -> 48 once, 48 -> 48 four times; then 48 x 10.
    assert counts.macs == 196 * 9 * 48 * (3 + 4 * 48) + 480
    assert (counts.convolutions, counts.matmuls) == (5, 1)
    assert exported.operators["Conv"] == 5
    assert exported.operators["BatchNormalization"] == 0


def test_random_weights_open_what_training_opens(export: Export, networks: str) -> None:
    exported = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE, keep_bn=True)
    arrays = [a for a in initializers(exported.model).values() if a.dtype == np.float32]
    smallest = np.finfo(np.float32).tiny
    for array in arrays:
        assert np.isfinite(array).all()
        assert abs(array).max() > 1e-3
        assert not ((array != 0) & (abs(array) < smallest)).any()
        assert array.size == 1 or np.ptp(array) > 0
    assert len({array.tobytes() for array in arrays}) == len(arrays)
    # None was merged with another or dropped: what torch has is what stands in the file.
    facts = exported.source.facts
    held = sum(array.size for array in arrays)
    assert held == (facts.params or 0) + facts.buffers


def test_keep_bn_keeps_batch_normalisation_and_nothing_idle(export: Export, networks: str) -> None:
    exported = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE, keep_bn=True)
    assert exported.operators["BatchNormalization"] == 5
    assert not exported.operators.keys() & {"Dropout", "Identity", "Constant"}
    assert exported.error(3) < 1e-5


def test_normalisation_is_fitted_to_the_pictures(export: Export, networks: str) -> None:
    model = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE, keep_bn=True).model
    arrays = initializers(model)
    variances = [a for name, a in arrays.items() if name.endswith("running_var")]
    assert len(variances) == 5
    for variance in variances:
        assert variance.min() > 0
        assert not np.allclose(variance, 1)  # what torch begins with


def test_layers_without_normalisation_neither_vanish_nor_explode(load: Load, networks: str) -> None:
    source = load(TorchExporter(), f"{networks}:plain", inputs=PICTURE)
    (output,) = source.run([np.random.default_rng(1).standard_normal((4, 3, 16, 16), np.float32)])
    assert 1e-3 < output.std() < 1e3


def test_same_request_gives_same_bytes_and_no_paths(
    export: Export, networks: str, tmp_path: Path
) -> None:
    first = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE)
    again = tmp_path / "elsewhere.py"
    again.write_text(NETWORKS)
    second = export(TorchExporter(), f"{again}:residual", inputs=PICTURE)
    assert first.path != second.path
    content = first.path.read_bytes()
    assert content == second.path.read_bytes()
    for trace in (b"own_networks", b"/torch/", b"stack_trace", b".py"):
        assert trace not in content


def test_another_seed_gives_other_weights(load: Load, networks: str) -> None:
    picture = [np.ones((1, 3, 16, 16), np.float32)]
    location = f"{networks}:residual"
    first, same, other = (
        load(TorchExporter(), location, inputs=PICTURE, seed=seed).run(picture)[0]
        for seed in (0, 0, 1)
    )
    assert (first == same).all()
    assert not np.allclose(first, other)


def test_modules_are_told(export: Export, networks: str) -> None:
    model = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE).model
    scopes = [
        entry.value
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == "pkg.torch.onnx.name_scopes"
    ]
    assert len(scopes) == len(model.graph.node)
    # A folded convolution keeps its own place, not that of the normalisation folded into it.
    assert "['', '4', '4.conv1', 'conv']" in scopes
    assert not any("norm1" in scope for scope in scopes)


def test_weights_as_the_function_built_them(load: Load, networks: str) -> None:
    source = load(TorchExporter(), f"{networks}:residual", inputs=PICTURE, weights="pretrained")
    assert source.facts.weights == "as built by the function"
    (output,) = source.run([np.zeros((1, 3, 16, 16), np.float32)])
    expected = load(
        TorchExporter(), f"{networks}:residual", inputs=PICTURE, weights="pretrained"
    ).run([np.zeros((1, 3, 16, 16), np.float32)])[0]
    assert (output == expected).all()


def test_several_inputs_and_outputs(export: Export, networks: str) -> None:
    inputs = (InputSpec("ids", (BATCH, 5), "int64", 20), InputSpec("x", (BATCH, 8)))
    exported = export(TorchExporter(), f"{networks}:pair", inputs=inputs)
    assert exported.source.facts.outputs == ("output_0", "output_1", "output_2")
    assert [each.name for each in exported.model.graph.input] == ["ids", "x"]
    assert [each.name for each in exported.model.graph.output] == list(
        exported.source.facts.outputs
    )
    for each in exported.model.graph.input:
        assert each.type.tensor_type.shape.dim[0].dim_param == BATCH


def test_fuse_switches_to_the_form_that_runs(load: Load, networks: str) -> None:
    trained = load(TorchExporter(), f"{networks}:branches", inputs=PICTURE)
    fused = load(TorchExporter(), f"{networks}:branches", inputs=PICTURE, fuse=True)
    picture = [np.random.default_rng(0).standard_normal((2, 3, 16, 16), np.float32)]
    np.testing.assert_allclose(trained.run(picture)[0], fused.run(picture)[0], atol=1e-5)
    assert trained.counts().convolutions == 2  # type: ignore[union-attr]
    assert fused.counts().convolutions == 1  # type: ignore[union-attr]


def test_fuse_says_where_there_is_nothing_to_fuse(load: Load, networks: str) -> None:
    source = load(TorchExporter(), f"{networks}:residual", inputs=PICTURE, fuse=True)
    assert any("fuse" in note for note in source.facts.notes)


@pytest.mark.parametrize("opset", [17, 20])
def test_opset_is_the_one_asked_for(export: Export, networks: str, opset: int) -> None:
    exported = export(TorchExporter(), f"{networks}:residual", inputs=PICTURE, opset=opset)
    assert exported.written.opset == opset
    assert {each.domain: each.version for each in exported.model.opset_import}[""] == opset
    assert exported.error(2) < 1e-5


def test_large_weights_stand_beside_the_model(export: Export, networks: str) -> None:
    exported = export(TorchExporter(), f"{networks}:large", inputs=PICTURE)
    files = {path.name: path.stat().st_size for path in exported.path.parent.iterdir()}
    assert files.keys() == {exported.path.name, DATA_FILE}
    assert files[exported.path.name] < 100_000
    assert files[DATA_FILE] >= 4 * 768 * 36_000
    assert exported.error(1) < 1e-5


def test_arguments_are_passed(load: Load, networks: str) -> None:
    source = load(
        TorchExporter(), f"{networks}:residual", inputs=PICTURE, arguments=(("classes", 3),)
    )
    assert source.run([np.zeros((2, 3, 16, 16), np.float32)])[0].shape == (2, 3)


def test_function_of_an_installed_package(load: Load) -> None:
    source = load(TorchExporter(), "torch.nn:Flatten", inputs=PICTURE)
    assert source.facts.params == 0


def test_pictures_are_assumed_and_that_is_said(load: Load) -> None:
    source = load(TorchExporter(), "torch.nn:Flatten")
    assert source.facts.inputs == (InputSpec("input", (BATCH, 3, 224, 224)),)
    assert any("assumed" in note for note in source.facts.notes)


@pytest.mark.parametrize(
    ("function", "more", "message"),
    [
        ("residul", {}, "has no function residul"),
        ("broken", {}, "RuntimeError: no luck"),
        ("number", {}, "returned int"),
        ("residual", {"arguments": (("deep", 3),)}, "deep"),
        ("residual", {"inputs": (InputSpec("input", (BATCH, 4, 16, 16)),)}, "does not run"),
        ("infinite", {}, "NaN or infinity"),
        ("residual", {"inputs": (InputSpec("input", (BATCH, 3), "string"),)}, "no torch type"),
    ],
)
def test_what_a_function_can_do_wrong(
    load: Load, networks: str, function: str, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError) as caught:
        load(TorchExporter(), f"{networks}:{function}", **{"inputs": PICTURE, **more})
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("location", ["", "nofunction", "no.such.module:f", "no/such/file.py:f"])
def test_what_a_location_can_be_wrong_in(load: Load, location: str) -> None:
    with pytest.raises(ExportError) as caught:
        load(TorchExporter(), location)
    assert "torch:" in caught.value.hint


def test_network_that_only_takes_one_picture_is_exported_for_one(
    export: Export, networks: str
) -> None:
    inputs = (InputSpec("input", (1, 3, 16, 16)),)
    exported = export(TorchExporter(), f"{networks}:frozen", inputs=inputs)
    assert not exported.written.dynamic_batch
    assert exported.error(1) < 1e-5


def test_legacy_exporter_takes_over(
    load: Load, networks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxbench.exporters import _torch_write

    def refuse(task: object, open_batch: object) -> object:
        raise RuntimeError("not today\nat line 3")

    monkeypatch.setattr(_torch_write, "_dynamo", refuse)
    source = load(TorchExporter(), f"{networks}:residual", inputs=PICTURE, keep_bn=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = source.write()
    assert written.route == "torch.onnx legacy"
    assert written.dynamic_batch
    assert written.notes == ("torch.onnx dynamo, open batch: RuntimeError: not today",)
    model = onnx.load(tmp_path / "model.onnx")
    assert sum(node.op_type == "BatchNormalization" for node in model.graph.node) == 5
    assert not any(node.doc_string for node in model.graph.node)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_files_are_found_without_running_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "alone_here.py").write_text("raise AssertionError")
    package = tmp_path / "package_here"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError")
    (package / "inner.py").write_text("raise AssertionError")
    files = TorchExporter().files
    assert files("alone_here:f") == [tmp_path / "alone_here.py"]
    assert files("package_here:f") == [package / "__init__.py"]
    assert files("package_here.inner:f") == [package / "inner.py"]
    assert files(f"{tmp_path}/alone_here.py:f") == [tmp_path / "alone_here.py"]
    assert files("nowhere.at.all:f") == []
