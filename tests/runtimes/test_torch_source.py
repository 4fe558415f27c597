"""The exporter's own module on torch: a small network of timm, random weights, real workers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench import environments
from onnxbench.artifacts import ArtifactFolder
from onnxbench.exporting import Exports, Options
from onnxbench.runtimes.torch import TORCH
from onnxbench.sources import BATCH, InputSpec
from onnxbench.types import ModelSpec
from tests.runtimes import models, nets
from tests.runtimes.running import error_of, facts_of, good, installed_environment, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.exporting import Located
    from onnxbench.protocols import Target
    from onnxbench.types import Measurement

EAGER = "onnxbench.runtimes.torch:TORCH"
COMPILED = "onnxbench.runtimes.torch:TORCH_COMPILE"
SOURCE = {"module": "source"}
SHAPES = {"input": (1, 3, 32, 32)}
NETWORK = ModelSpec(
    "tiny", "timm:test_vit", inputs=(InputSpec("input", (BATCH, 3, 32, 32)),),
    arguments=(("img_size", 32), ("num_classes", 10)),
)  # fmt: skip


@pytest.fixture(scope="module")
def environment() -> environments.Installed:
    with pytest.MonkeyPatch.context() as patch:
        return installed_environment(patch, "torch")


@pytest.fixture(scope="module")
def there(environment: environments.Installed, cache: Path) -> Target:
    return target_in(environment, cache)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Located:
    """What the tests run; the export in the same environment takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        installed_environment(patch, "torch")
        folder = tmp_path_factory.mktemp("exported")
        exports = Exports(Options(weights="random"), ArtifactFolder(folder / "artifacts"))
        return exports.locate(NETWORK, folder)


def answer(there: Target, exported: Located, adapter: str, **changes: Any) -> Measurement:
    """Return the facts of the source; they hold nothing against ONNX Runtime's answer."""
    asked = {"options": SOURCE, "origin": exported.origin, "provider": "torch CPU", **changes}
    found = good(nets.checked(there, adapter, exported.path, SHAPES, **asked))
    assert found["parity"]["passed"] is True
    assert found["parity"]["input_sensitive"] is True
    assert found["precision_effective"] == "float32"
    return found


def test_it_is_asked_for_by_an_option() -> None:
    assert TORCH.wants_origin(SOURCE)
    assert not TORCH.wants_origin({"module": "onnx2torch"})
    assert not TORCH.wants_origin({})


def test_the_module_itself_gives_what_onnx_runtime_gives(there: Target, exported: Located) -> None:
    found = answer(there, exported, EAGER, mode="facts", threads=2)
    (row,) = found["placement"]
    assert row["operators"]["Conv2d"] == 1
    assert "Reshape" not in row["operators"], "modules of timm, not ONNX nodes"
    facts = found["facts"]
    assert facts["module"] == "source"
    assert facts["source"]["weights"] == "random: seed 0"
    assert {"torch", "timm"} <= facts["source"]["versions"].keys()
    assert facts["mha_fastpath"] is True, "what the export switched off is on again"
    assert facts["threads_told"] == facts["options"]["num_threads"] == 2


def test_modules_are_timed_without_their_parts(there: Target, exported: Located) -> None:
    asked = {"options": SOURCE, "origin": exported.origin, "mode": "op-times"}
    found = good(facts_of(there, EAGER, exported.path, SHAPES, **asked, boundary="device"))
    rows = {row["name"]: row for row in found["op_times"]}
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    assert rows["patch_embed.proj"]["op"] == "Conv2d"
    assert rows["blocks.0.attn"]["ns"] > 0, "it calls functions of its own"
    assert rows["blocks.0"]["ns"] < sum(
        row["ns"] for name, row in rows.items() if name.startswith("blocks.0.")
    )


@pytest.mark.slow
def test_the_module_is_compiled_as_any_user_would(there: Target, exported: Located) -> None:
    facts = answer(there, exported, COMPILED)["facts"]
    assert (facts["module"], facts["graphs"], facts["graph_breaks"]) == ("source", 1, 0)


def test_a_module_with_other_weights_is_caught(there: Target, exported: Located) -> None:
    assert exported.origin is not None
    request = {**exported.origin.request, "seed": 1}
    origin = dataclasses.replace(exported.origin, request=request)
    asked = {"options": SOURCE, "origin": origin}
    found = nets.checked(there, EAGER, exported.path, SHAPES, **asked)
    assert found.status == "wrong-output", found


def test_what_is_no_torch_module_is_refused(there: Target, exported: Located) -> None:
    assert exported.origin is not None
    other = dataclasses.replace(exported.origin, modules=("paddle",))
    for origin, said in ((None, "nobody knows its module"), (other, "exports no torch module")):
        asked = {"options": SOURCE, "origin": origin}
        found = facts_of(there, EAGER, exported.path, SHAPES, **asked)
        assert found.status == "unsupported"
        assert said in error_of(found)["message"]


def test_a_module_of_other_inputs_is_refused(
    there: Target, exported: Located, tmp_path: Path
) -> None:
    model = models.linear(tmp_path / "linear.onnx")
    asked = {"options": SOURCE, "origin": exported.origin}
    found = facts_of(there, EAGER, model, {"x": (1, 3)}, **asked)
    assert found.status == "unsupported"
    assert error_of(found)["message"] == "the module takes input, the file x"
