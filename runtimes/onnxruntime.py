"""ONNX Runtime: one adapter, and one instance of it per execution provider.

One session per process; every option is asked back. Tried with onnxruntime 1.31.1. This module is
imported in the worker and by the parent's probe; onnxruntime itself is imported only by the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.errors import NotInstalled
from onnxbench.runtimes import _onnxruntime_probe as probe
from onnxbench.runtimes import _onnxruntime_profiles as profiles
from onnxbench.runtimes._onnxruntime_engine import OnnxRuntimeEngine
from onnxbench.runtimes._onnxruntime_session import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile
    from onnxbench.types import BuildRequest, Capability


class OnnxRuntime:
    """The adapter behind the runtime name of one provider."""

    def __init__(self, profile: ProviderProfile = profiles.CPU) -> None:
        self.profile = profile

    @property
    def name(self) -> str:
        """Name of the runtime."""
        return self.profile.name

    @property
    def modules(self) -> tuple[str, ...]:
        """What the worker imports first."""
        return ("onnxruntime",)

    @property
    def distributions(self) -> tuple[str, ...]:
        """Packages whose versions name the build."""
        return self.profile.distributions

    @property
    def environment(self) -> str:
        """The environment that has the provider."""
        return self.profile.environment

    @property
    def provider(self) -> str:
        """The provider that every node has to run on."""
        return self.profile.provider

    @property
    def build_s(self) -> float:
        """Seconds that creating a session may take; 0.0 for the default."""
        return self.profile.build_s

    @property
    def only_named(self) -> bool:
        """Whether it cannot run without a setting."""
        return self.profile.only_named

    @property
    def device(self) -> str:
        """The kind of device that computes, unless an option chooses another."""
        return self.profile.device

    @property
    def emulated(self) -> bool:
        """Whether an emulator answers for that device on this machine."""
        return self.profile.emulated

    def device_for(self, options: Mapping[str, str]) -> str:
        """Return the kind of device that computes under ``options``."""
        return self.profile.device_for(options)

    def probe(self) -> Capability:
        """Look for the package that has the provider, without importing it."""
        return probe.capability(self.profile)

    def build(self, request: BuildRequest) -> OnnxRuntimeEngine:
        """Create the session. Raises Unsupported, OutOfMemory, NotInstalled."""
        if why := probe.wrong_machine(self.profile):
            raise NotInstalled(*why)
        try:
            import onnxruntime as ort  # noqa: PLC0415 - worker only
        except ImportError as error:
            raise NotInstalled(str(error), probe.install_hint(self.profile)) from error
        opened = open_session(ort, self.profile, request)
        return OnnxRuntimeEngine(ort, self.profile, opened, request)


CPU = OnnxRuntime(profiles.CPU)
ARM = OnnxRuntime(profiles.ARM)
CUDA = OnnxRuntime(profiles.CUDA)
TENSORRT = OnnxRuntime(profiles.TENSORRT)
OPENVINO_EP = OnnxRuntime(profiles.OPENVINO_EP)
TENSORRT_RTX = OnnxRuntime(profiles.TENSORRT_RTX)
XNNPACK = OnnxRuntime(profiles.XNNPACK)
COREML = OnnxRuntime(profiles.COREML)
DML = OnnxRuntime(profiles.DML)
QNN = OnnxRuntime(profiles.QNN)
MIGRAPHX = OnnxRuntime(profiles.MIGRAPHX)
WEBGPU = OnnxRuntime(profiles.WEBGPU)
PLUGIN = OnnxRuntime(profiles.PLUGIN)
