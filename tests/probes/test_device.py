"""The device of a cell by what the adapter says: never the processor for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.probes import device
from onnxbench.runtimes import onnxruntime as adapters
from onnxbench.runtimes.torch import TORCH
from onnxbench.worker import modes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

NODES = "/sys/class/kfd/kfd/topology/nodes"
PROCESSOR = {
    f"{NODES}/0/name": "",
    f"{NODES}/0/properties": "cpu_cores_count 16\nsimd_count 0\ngfx_target_version 0",
}


def gpu_node(number: int, name: str, version: int) -> dict[str, str]:
    return {
        f"{NODES}/{number}/name": name,
        f"{NODES}/{number}/properties": f"simd_count 440\ngfx_target_version {version}",
    }


@dataclass
class Emulating:
    """An adapter of a plug-in, as far as it is asked here."""

    name: str = "mine"
    device: str = "npu"
    emulated: bool = True


@pytest.mark.parametrize(
    ("adapter", "options", "kind"),
    [
        (adapters.CPU, {}, "cpu"),
        (adapters.ARM, {}, "cpu"),
        (adapters.XNNPACK, {}, "cpu"),
        (TORCH, {}, "cpu"),
        (adapters.CUDA, {}, "cuda"),
        (adapters.TENSORRT, {}, "cuda"),
        (adapters.TENSORRT_RTX, {}, "cuda"),
        (adapters.MIGRAPHX, {}, "rocm"),
        (adapters.WEBGPU, {}, "gpu"),
        (adapters.DML, {}, "gpu"),
        (adapters.DML, {"device_filter": "npu"}, "npu"),
        (adapters.DML, {"device_filter": "any"}, "any"),
        (adapters.COREML, {}, "any"),
        (adapters.COREML, {"MLComputeUnits": "CPUAndGPU"}, "any"),
        (adapters.COREML, {"MLComputeUnits": "CPUOnly"}, "cpu"),
        (adapters.OPENVINO_EP, {}, "cpu"),
        (adapters.OPENVINO_EP, {"device_type": "CPU"}, "cpu"),
        (adapters.OPENVINO_EP, {"device_type": "GPU.1"}, "gpu"),
        (adapters.OPENVINO_EP, {"device_type": "NPU"}, "npu"),
        (adapters.QNN, {}, "any"),
        (adapters.QNN, {"backend_type": "htp"}, "npu"),
        (adapters.QNN, {"backend_type": "gpu"}, "gpu"),
        (adapters.QNN, {"backend_type": "cpu"}, "cpu"),
        (adapters.QNN, {"backend_path": "/opt/libQnnHtp.so"}, "npu"),
        (adapters.QNN, {"backend_path": "QnnCpu.dll"}, "cpu"),
        (adapters.PLUGIN, {"library": "/p.so"}, "any"),
    ],
)
def test_each_runtime_says_what_computes(adapter: Any, options: dict[str, str], kind: str) -> None:
    assert kind in device.KINDS
    assert device.kind(adapter, options) == kind
    found = device.of(adapter, options)
    if kind == "cpu":
        assert found is None, "the plan's own processor"
    else:
        assert found is not None
        assert found.kind == kind


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        (adapters.WEBGPU, "unnamed GPU"),
        (adapters.COREML, "unnamed device"),
        (adapters.MIGRAPHX, "unnamed AMD GPU"),
    ],
)
def test_what_nobody_names_is_called_unnamed(adapter: Any, name: str, nowhere: Kernel) -> None:
    found = device.of(adapter, {}, nowhere)
    assert found is not None
    assert (found.name, found.arch, found.emulated) == (name, "unknown", False)


def test_an_emulator_is_told_for_its_device_alone(
    monkeypatch: pytest.MonkeyPatch, nowhere: Kernel
) -> None:
    qnn: Any = adapters.QNN
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    emulated = device.of(qnn, {"backend_type": "htp"}, nowhere)
    assert emulated is not None
    assert emulated.emulated is True
    assert device.of(qnn, {"backend_type": "cpu"}) is None
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    real = device.of(qnn, {"backend_type": "htp"}, nowhere)
    assert real is not None
    assert real.emulated is False
    plugin: Any = Emulating()
    assert device.of(plugin, {}, nowhere) == emulated


def test_amd_gpus_are_named_by_the_kernel_s_driver(tree: Tree) -> None:
    one = device.amd(tree({**PROCESSOR, **gpu_node(1, "aldebaran", 90010)}))
    assert (one.kind, one.name, one.arch) == ("rocm", "aldebaran", "gfx90a")


def test_amd_gpus_of_two_kinds_are_both_named(tree: Tree) -> None:
    nodes = gpu_node(1, "navi31", 110000) | gpu_node(2, "navi31", 110000)
    found = device.amd(tree({**PROCESSOR, **nodes, **gpu_node(3, "raphael", 100306)}))
    assert (found.name, found.arch) == ("navi31 or raphael", "gfx1100 or gfx1036")


def test_an_amd_processor_alone_is_no_gpu(tree: Tree) -> None:
    assert device.amd(tree(PROCESSOR)).name == "unnamed AMD GPU"


@pytest.mark.parametrize("kind", [kind for kind in device.KINDS if kind not in ("cpu", "cuda")])
def test_memory_of_another_device_is_not_said_to_be_the_processor_s(kind: str) -> None:
    found = modes.Baseline(kind).memory()
    assert found["device_bytes"] is None
    assert found["device_reason"] == "the memory of this device is not read"


class Failing:
    """A plug-in's adapter that cannot say what computes."""

    def device_for(self, options: Mapping[str, str]) -> str:
        return options["not there"]


def test_a_plug_in_that_cannot_say_computes_on_something_unknown() -> None:
    found = device.of(Failing(), {})  # type: ignore[arg-type]
    assert found is not None
    assert (found.kind, found.name) == ("any", "unnamed device")
    assert device.kind(Failing(), {"not there": "toaster"}) == "any"  # type: ignore[arg-type]
