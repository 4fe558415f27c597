"""The exporter of PaddleClas networks. Most tests need an interpreter with paddle."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import pytest

from onnxbench.errors import ExportError
from onnxbench.exporters import _paddle_zoo
from onnxbench.exporters.paddle import PaddleExporter, PaddleSource
from onnxbench.protocols import Exporter
from onnxbench.sources import BATCH, MODEL_FILE, ExportRequest, InputSpec

SMALL = InputSpec("image", (BATCH, 3, 64, 64))
# Paddle's and paddle2onnx's own code, and what ends with the process.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("own_working_directory"),
]


class Load(Protocol):
    def __call__(self, location: str, **more: Any) -> PaddleSource: ...


@pytest.fixture
def own_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Build a network; skip where paddle is absent, fail where CI is set."""
    missing = [name for name in PaddleExporter.modules if find_spec(name) is None]
    if missing and os.environ.get("CI_PADDLE"):
        pytest.fail(f"CI_PADDLE asks for the tests of paddle; absent: {missing}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (onnxbench install paddle)")

    def run(location: str, **more: Any) -> PaddleSource:
        folder = tmp_path / f"export{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        request = ExportRequest(
            id="m", location=location, folder=str(folder), **{"inputs": (SMALL,), **more}
        )
        return PaddleExporter().load(request)

    return run


def file_of(source: PaddleSource) -> Path:
    return Path(source._request.folder, MODEL_FILE)


def operators(source: PaddleSource) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(file_of(source)).graph.node)


def error(source: PaddleSource, batch: int) -> float:
    """Return the largest difference between ONNX Runtime and paddle, over the largest value."""
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    picture = np.random.default_rng(batch).standard_normal((batch, 3, 64, 64), np.float32)
    session = onnxruntime.InferenceSession(file_of(source), providers=["CPUExecutionProvider"])
    got = session.run(list(source.facts.outputs), {"image": picture})
    expected = source.run([picture])
    return max(float(abs(a - b).max() / abs(b).max()) for a, b in zip(got, expected, strict=True))


def test_it_is_an_exporter_and_importing_it_imports_no_framework() -> None:
    assert isinstance(PaddleExporter(), Exporter)


def test_an_opset_that_would_abort_the_process_is_refused(tmp_path: Path) -> None:
    request = ExportRequest(id="m", location="PPLCNet_x0_25", folder=str(tmp_path), opset=22)
    with pytest.raises(ExportError, match="cannot write opset 22") as caught:
        PaddleExporter().load(request)
    assert caught.value.hint == "--opset 7 to 21"


def test_the_written_network_computes_the_same_at_two_batch_sizes(load: Load) -> None:
    source = load("PPLCNet_x0_25")
    written = source.write()
    assert (written.opset, written.dynamic_batch, written.notes) == (18, True, ())
    assert max(error(source, 1), error(source, 3)) < 1e-4
    graph = onnx.load(file_of(source)).graph
    assert [(v.name, v.type.tensor_type.shape.dim[0].dim_param) for v in graph.input] == [
        ("image", "batch")
    ]
    assert [v.name for v in graph.output] == ["logits"]
    assert sorted(path.name for path in file_of(source).parent.iterdir()) == [MODEL_FILE]


def test_batch_norms_are_folded_or_kept_as_asked(load: Load) -> None:
    folded, kept = load("PPLCNet_x0_25"), load("PPLCNet_x0_25", keep_bn=True)
    folded.write()
    kept.write()
    assert operators(folded)["BatchNormalization"] == 0
    assert operators(kept)["BatchNormalization"] == 27
    assert operators(folded)["Conv"] == operators(kept)["Conv"] == 32
    assert error(kept, 2) < 1e-4


def test_parameters_and_macs_are_those_that_paddleclas_publishes(load: Load) -> None:
    # PaddleClas' README: 1.52 million parameters with running statistics, 0.018 GMACs, which
    # count normalisations too.
    image = InputSpec("image", (BATCH, 3, 224, 224))
    source = load("PPLCNet_x0_25", inputs=(image,))
    facts = source.facts
    assert (facts.params, facts.buffers, facts.norm_params) == (1_521_184, 2_752, 2_752)
    counts = source.counts()
    assert counts is not None
    assert (counts.convolutions, counts.matmuls) == (32, 1)
    assert counts.macs == pytest.approx(18e6, rel=0.08)


def test_equal_requests_give_equal_bytes_and_other_seeds_others(load: Load) -> None:
    def digest(seed: int) -> str:
        source = load("PPLCNet_x0_25", seed=seed)
        source.write()
        return hashlib.sha256(file_of(source).read_bytes()).hexdigest()

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)


def test_random_weights_are_sane_and_no_two_are_equal(load: Load) -> None:
    network = load("RedNet26")._network  # as it is built, it computes NaN
    arrays = [t.numpy() for t in network.parameters()]
    assert all(np.isfinite(array).all() for array in arrays)
    assert len({array.tobytes() for array in arrays}) == len(arrays)
    smallest = min(abs(array[array != 0]).min() for array in arrays)
    assert smallest > np.finfo(np.float32).tiny


def test_rednet_computes_numbers_that_onnx_runtime_agrees_with(load: Load) -> None:
    source = load("RedNet26")
    source.write()
    assert max(error(source, 1), error(source, 3)) < 1e-3


def test_the_fused_form_has_fewer_convolutions_and_computes_the_same(load: Load) -> None:
    trained, fused = load("RepVGG_A0"), load("RepVGG_A0", fuse=True)
    picture = np.random.default_rng(0).standard_normal((1, 3, 64, 64), np.float32)
    np.testing.assert_allclose(
        fused.run([picture])[0], trained.run([picture])[0], rtol=1e-3, atol=1e-3
    )
    counts = [source.counts() for source in (trained, fused)]
    assert [c and c.convolutions for c in counts] == [44, 22]
    assert (fused.facts.params or 0) < (trained.facts.params or 0)
    assert any("never reads" in note for note in fused.facts.notes)


def test_the_working_directory_and_the_search_path_stay_as_they_were(load: Load) -> None:
    before = Path.cwd(), list(sys.path)
    load("PPLCNet_x0_25").write()
    assert (Path.cwd(), list(sys.path)) == before


def test_a_mistyped_network_is_told_its_neighbours(load: Load) -> None:
    with pytest.raises(ExportError, match="no network PPLCNet_x1_") as caught:
        load("PPLCNet_x1_")
    assert "PPLCNet_x1_0" in caught.value.hint


def test_a_closed_network_is_told_within_seconds_with_a_way_on(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("PPLCNet_x0_25")  # brings ppcls in
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        download: Any = sys.modules["ppcls.utils.download"]
        monkeypatch.setattr(download, "WEIGHTS_HOME", str(tmp_path / "weights"))
        monkeypatch.setattr(_paddle_zoo, "_DOWNLOAD_LIMIT_S", 0.5)
        module: Any = sys.modules["ppcls.arch.backbone.legendary_models.pp_lcnet"]
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/PPLCNet_x0_25_pretrained.pdparams"
        monkeypatch.setitem(module.MODEL_URLS, "PPLCNet_x0_25", url)
        start = time.monotonic()
        with pytest.raises(ExportError, match="cannot be fetched") as caught:
            load("PPLCNet_x0_25", weights="pretrained")
    assert time.monotonic() - start < 10
    assert "--weights random" in caught.value.hint
    assert str(tmp_path / "weights") in caught.value.hint
