"""Execution providers of ONNX Runtime: one row per runtime name, no code.

What no hardware at hand has run is labelled ``unverified``; docs/gpu-status.md is the list. Option
names are those that the providers' own sources and libraries know (1.24 to 1.31).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.types import Boundary

CPU_PROVIDER = "CPUExecutionProvider"
PLUGIN_PROVIDER = "plugin"
"""What placement calls the provider of a library given by path; facts have its own name."""


@dataclass(frozen=True, slots=True)
class ProviderProfile:
    """One provider, and what has to be there for it.

    ``distributions``: the first is the build of ONNX Runtime, or the plugin, that has the provider.
    ``any_build``: every build of ONNX Runtime has it. ``symbol``: bytes that only a library with
    this provider contains, where no name of a distribution tells. ``plugin``: module of the plugin
    package. ``systems``/``machines``: as `platform` names them, () for all. ``nvidia``: needs
    NVIDIA's driver; ``device_file``: what another's driver puts into /dev. ``libraries``: sonames
    that it loads, ``{cuda}`` for the major version of CUDA.

    ``device``: the kind that computes, one of `onnxbench.probes.device.KINDS`; ``device_by``:
    options that choose another, each with texts in its value, in lower case, and their kinds.

    ``own``: options that this adapter itself carries out. ``options``: those of the provider;
    ``defaults``: values of some unless told otherwise; ``for_model``: those under precision
    ``model``, which keep the graph's types; ``lowering``: options that compute in less than the
    graph declares. ``threads_option``: takes the number of threads, and ONNX Runtime's own pool is
    then one thread. ``settings``: attributes of the session that it demands. ``then``: providers
    asked for what it does not take.

    ``fixed_shapes``: it takes graphs without open dims alone; they are fixed to the cell's shapes.
    ``emulated_on``: machines on which an emulator of its device answers, unless that is ``cpu``.
    ``memory``: where bound values lie. ``compiles``: it fuses its nodes into kernels of its own,
    which do not say in which type they compute. ``build_s``/``only_named``: as in
    `onnxbench.protocols.RuntimeAdapter`.
    """

    name: str
    provider: str
    distributions: tuple[str, ...]
    environment: str = ""
    device: str = "cpu"
    device_by: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    any_build: bool = False
    symbol: bytes = b""
    plugin: str = ""
    systems: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    nvidia: bool = False
    device_file: str = ""
    libraries: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    for_model: Mapping[str, str] = field(default_factory=dict)
    lowering: tuple[str, ...] = ()
    threads_option: str = ""
    settings: Mapping[str, bool] = field(default_factory=dict)
    then: tuple[str, ...] = ()
    fixed_shapes: bool = False
    emulated_on: tuple[str, ...] = ()
    boundaries: tuple[Boundary, ...] = ("host", "device")
    memory: str = "cpu"
    compiles: bool = False
    build_s: float = 0.0
    only_named: bool = False
    unverified: str = ""

    @property
    def is_plugin(self) -> bool:
        """Tell whether the provider comes in a library of its own."""
        return bool(self.plugin) or self.provider == PLUGIN_PROVIDER

    @property
    def emulated(self) -> bool:
        """Tell whether an emulator answers for its device on this machine."""
        return platform.machine().lower() in self.emulated_on

    def device_for(self, options: Mapping[str, str]) -> str:
        """Return the kind of device that computes under ``options``."""
        for option, kinds in self.device_by.items():
            value = options.get(option, "").lower()
            for text, kind in kinds.items():
                if text in value:
                    return kind
        return self.device


_CUDA_WHEELS = (
    "nvidia-cublas",
    "nvidia-cudnn-cu13",
    "nvidia-cuda-runtime",
    "nvidia-cufft",
    "nvidia-curand",
    "nvidia-cuda-nvrtc",
)
_CUDA_LIBRARIES = (
    "libcublasLt.so.{cuda}",
    "libcublas.so.{cuda}",
    "libcurand.so.10",
    "libcudart.so.{cuda}",
    "libcudnn.so.9",
    "libcuda.so.1",
)
_NO_CUDA = "no CUDA device has run it yet"

CPU = ProviderProfile(
    name="cpu",
    provider=CPU_PROVIDER,
    distributions=("onnxruntime",),
    any_build=True,
    own=("cpus",),
)
ARM = ProviderProfile(
    name="arm",
    provider=CPU_PROVIDER,
    distributions=("onnxruntime",),
    any_build=True,
    machines=("aarch64", "arm64"),
    own=("cpus",),
    unverified="no ARM hardware has run it yet",
)
CUDA = ProviderProfile(
    name="cuda",
    provider="CUDAExecutionProvider",
    distributions=("onnxruntime-gpu", *_CUDA_WHEELS),
    environment="cuda",
    device="cuda",
    systems=("Linux", "Windows"),
    nvidia=True,
    libraries=_CUDA_LIBRARIES,
    options=(
        "device_id",
        "gpu_mem_limit",
        "arena_extend_strategy",
        "cudnn_conv_algo_search",
        "cudnn_conv_use_max_workspace",
        "cudnn_conv1d_pad_to_nc1d",
        "do_copy_in_default_stream",
        "enable_cuda_graph",
        "enable_skip_layer_norm_strict_mode",
        "fuse_conv_bias",
        "prefer_nhwc",
        "sdpa_kernel",
        "tunable_op_enable",
        "tunable_op_tuning_enable",
        "tunable_op_max_tuning_duration_ms",
        "use_ep_level_unified_stream",
        "use_tf32",
    ),
    for_model={"use_tf32": "0"},
    memory="cuda",
    unverified=_NO_CUDA,
)
TENSORRT = ProviderProfile(
    name="tensorrt",
    provider="TensorrtExecutionProvider",
    distributions=("onnxruntime-gpu", "tensorrt-cu13-libs", *_CUDA_WHEELS),
    environment="cuda",
    device="cuda",
    systems=("Linux", "Windows"),
    nvidia=True,
    libraries=("libnvinfer.so.10", "libnvonnxparser.so.10", *_CUDA_LIBRARIES),
    own=("engine_cache",),
    build_s=1800.0,
    options=(
        "device_id",
        "trt_auxiliary_streams",
        "trt_bf16_enable",
        "trt_build_heuristics_enable",
        "trt_builder_optimization_level",
        "trt_context_memory_sharing_enable",
        "trt_cuda_graph_enable",
        "trt_dla_core",
        "trt_dla_enable",
        "trt_fp16_enable",
        "trt_int8_enable",
        "trt_layer_norm_fp32_fallback",
        "trt_max_partition_iterations",
        "trt_max_workspace_size",
        "trt_min_subgraph_size",
        "trt_op_types_to_exclude",
        "trt_sparsity_enable",
        "trt_tactic_sources",
    ),
    lowering=("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable"),
    then=("CUDAExecutionProvider",),
    memory="cuda",
    compiles=True,
    unverified=_NO_CUDA,
)
OPENVINO_EP = ProviderProfile(
    name="openvino-ep",
    provider="OpenVINOExecutionProvider",
    distributions=("onnxruntime-openvino",),
    environment="onnxruntime-openvino",
    device_by={"device_type": {"gpu": "gpu", "npu": "npu"}},
    own=("cpus",),
    options=(
        "device_type",
        "precision",
        "num_streams",
        "model_priority",
        "enable_qdq_optimizer",
        "disable_dynamic_shapes",
        "enable_opencl_throttling",
    ),
    for_model={"precision": "FP32"},
    threads_option="num_of_threads",
    compiles=True,
)
TENSORRT_RTX = ProviderProfile(
    name="tensorrt-rtx",
    provider="NvTensorRTRTXExecutionProvider",
    distributions=("onnxruntime-ep-nv-tensorrt-rtx-cu13", "onnxruntime"),
    environment="tensorrt-rtx",
    device="cuda",
    plugin="onnxruntime_ep_nv_tensorrt_rtx",
    systems=("Linux", "Windows"),
    nvidia=True,
    libraries=("libcudart.so.13", "libcuda.so.1"),
    own=("ep_device",),
    options=("device_id", "enable_cuda_graph", "nv_max_workspace_size", "nv_max_shared_mem_size"),
    defaults={"enable_cuda_graph": "0"},  # on by default, which no other provider is
    boundaries=("host",),
    compiles=True,
    unverified=_NO_CUDA,
)
XNNPACK = ProviderProfile(
    name="xnnpack",
    provider="XnnpackExecutionProvider",
    distributions=("onnxruntime",),
    symbol=b"xnn_create_runtime",
    own=("cpus",),
    threads_option="intra_op_num_threads",
    unverified="no build of ONNX Runtime with XNNPACK has run it yet",
)
COREML = ProviderProfile(
    name="coreml",
    provider="CoreMLExecutionProvider",
    distributions=("onnxruntime",),
    device="any",
    device_by={"MLComputeUnits": {"cpuonly": "cpu"}},
    systems=("Darwin",),
    options=(
        "ModelFormat",
        "MLComputeUnits",
        "RequireStaticInputShapes",
        "EnableOnSubgraphs",
        "SpecializationStrategy",
        "AllowLowPrecisionAccumulationOnGPU",
    ),
    lowering=("AllowLowPrecisionAccumulationOnGPU",),
    fixed_shapes=True,
    boundaries=("host",),
    compiles=True,
    unverified="no Mac has run it yet",
)
DML = ProviderProfile(
    name="dml",
    provider="DmlExecutionProvider",
    distributions=("onnxruntime-directml",),
    device="gpu",
    device_by={"device_filter": {"npu": "npu", "any": "any"}},
    systems=("Windows",),
    options=("device_id", "performance_preference", "device_filter", "disable_metacommands"),
    # DirectML refuses sessions with memory patterns.
    settings={"enable_mem_pattern": False},
    boundaries=("host",),
    compiles=True,
    unverified="no Windows machine has run it yet",
)
_QNN_BACKENDS = {"htp": "npu", "gpu": "gpu", "cpu": "cpu"}
QNN = ProviderProfile(
    name="qnn",
    provider="QNNExecutionProvider",
    distributions=("onnxruntime-qnn", "onnxruntime"),
    environment="onnxruntime-qnn",
    device="any",
    device_by={"backend_type": _QNN_BACKENDS, "backend_path": _QNN_BACKENDS},
    plugin="onnxruntime_qnn",
    own=("ep_device",),
    options=(
        "backend_type",
        "backend_path",
        "htp_performance_mode",
        "htp_graph_finalization_optimization_mode",
        "htp_arch",
        "soc_model",
        "device_id",
        "vtcm_mb",
        "rpc_control_latency",
        "enable_htp_fp16_precision",
        "offload_graph_io_quantization",
        "enable_htp_weight_sharing",
    ),
    for_model={"enable_htp_fp16_precision": "0"},
    fixed_shapes=True,
    emulated_on=("x86_64", "amd64"),
    boundaries=("host",),
    compiles=True,
    unverified="no Qualcomm processor has run it yet",
)
MIGRAPHX = ProviderProfile(
    name="migraphx",
    provider="MIGraphXExecutionProvider",
    distributions=("onnxruntime-migraphx",),
    environment="migraphx",
    device="rocm",
    systems=("Linux",),
    device_file="/dev/kfd",
    libraries=("libmigraphx_c.so.3", "libamdhip64.so.7"),
    options=(
        "device_id",
        "migraphx_fp16_enable",
        "migraphx_fp8_enable",
        "migraphx_int8_enable",
        "migraphx_exhaustive_tune",
        "migraphx_mem_limit",
        "migraphx_arena_extend_strategy",
    ),
    lowering=("migraphx_fp16_enable", "migraphx_fp8_enable", "migraphx_int8_enable"),
    boundaries=("host",),
    compiles=True,
    unverified="no AMD GPU has run it yet",
)
WEBGPU = ProviderProfile(
    name="webgpu",
    provider="WebGpuExecutionProvider",
    distributions=("onnxruntime-ep-webgpu", "onnxruntime"),
    environment="webgpu",
    device="gpu",
    plugin="onnxruntime_ep_webgpu",
    own=("ep_device",),
    options=(
        "preferredLayout",
        "enableGraphCapture",
        "dawnBackendType",
        "deviceId",
        "storageBufferCacheMode",
        "powerPreference",
    ),
    boundaries=("host",),
    unverified="no GPU that WebGPU reaches has run it yet",
)
PLUGIN = ProviderProfile(
    name="ort-plugin",
    provider=PLUGIN_PROVIDER,
    distributions=("onnxruntime",),
    device="any",
    any_build=True,
    own=("library", "provider_name", "ep_device", "cpus"),
    only_named=True,
    compiles=True,
    boundaries=("host",),
)
