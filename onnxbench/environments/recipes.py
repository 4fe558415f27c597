"""What can be installed: one row per environment. A new runtime or exporter adds a row.

An environment has the name that its runtimes' adapters call it by, or serves them.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnxbench.errors import UsageError
from onnxbench.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Recipe:
    """An environment that can be made.

    ``serves``: the names that `find` knows it by besides ``name``. ``requirements``: exact pins, as
    pip reads them; ``without_dependencies``: pins whose own dependencies are not installed.
    ``python``: first and last minor version that all of them have files for. ``modules``: what
    must import before the environment counts as made. ``size_bytes``: about what it takes on disk.
    ``machines``: the systems and processors that all of them have wheels for, as `platform` names
    them, () where those are all that onnxbench runs on. ``extra``: the extra of onnxbench that puts
    the same into the user's own environment, "" where its pins clash with ours. ``note``: why pip
    may find no files for it, said when it did not.
    """

    name: str
    serves: tuple[str, ...]
    requirements: tuple[str, ...]
    python: tuple[tuple[int, int], tuple[int, int]]
    modules: tuple[str, ...]
    size_bytes: int
    without_dependencies: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    extra: str = ""
    note: str = ""

    @property
    def pins(self) -> tuple[str, ...]:
        """Everything that is asked of pip."""
        return self.requirements + self.without_dependencies


_NUMPY = "numpy==2.4.6"
_NO_MAC = ("Linux x86_64", "Linux aarch64", "Windows AMD64")

RECIPES = (
    Recipe(
        name="torch",
        serves=("timm", "torchvision", "torch-compile"),
        requirements=(
            "torch==2.13.0",
            # Not newer: torchvision 0.29 asks for torch 2.14.
            "torchvision==0.28.0",
            "timm==1.0.31",
            "onnx==1.23.2",
            "onnxscript==0.7.2",
            "onnx-ir==1.1.0",
            "onnxruntime==1.31.1",
            "onnxslim==0.1.98",
            # Reads ONNX for the runtime torch.
            "onnx2torch==1.5.15",
            _NUMPY,
        ),
        # From onnxruntime and numpy to the last one that torch has wheels for.
        python=((3, 11), (3, 14)),
        # Not torchvision: beside a torch without CUDA its plain import fails; the exporters mend
        # that for themselves.
        modules=("torch", "onnx", "onnxscript", "onnxruntime", "onnxslim"),
        size_bytes=1_200_000_000,
        extra="torch",
    ),
    Recipe(
        name="paddle",
        serves=("paddleclas",),
        requirements=(
            "paddlepaddle==3.3.1",
            "onnx==1.23.2",
            "onnxslim==0.1.98",
            _NUMPY,
            # What ppcls and paddle2onnx import of what they ask for.
            "requests==2.34.2",
            "tqdm==4.70.1",
            "pyyaml==6.0.3",
            "six==1.17.0",
            "packaging==26.3",
        ),
        # paddle2onnx asks for onnx 1.17.0 at most, which its converter, linked with its own copy,
        # does not use; paddleclas for numpy 1.24.
        without_dependencies=("paddle2onnx==2.1.0", "paddleclas==2.6.0"),
        python=((3, 11), (3, 12)),  # from numpy to the last one that paddle2onnx has wheels for
        modules=("paddle", "paddle2onnx", "onnx"),  # paddleclas itself imports half of OpenCV
        size_bytes=950_000_000,
        note="paddlepaddle has wheels for x86-64 processors alone",
    ),
    Recipe(
        name="openvino",
        serves=(),
        requirements=(_NUMPY,),
        # It asks for numpy and openvino-telemetry; without the latter nothing is reported.
        without_dependencies=("openvino==2026.4.1",),
        python=((3, 11), (3, 14)),
        modules=("openvino",),
        size_bytes=280_000_000,
    ),
    Recipe(
        name="ncnn",
        serves=(),
        requirements=("ncnn==1.0.20261020", _NUMPY),
        # pnnx asks for torch, which its program does not use: with CUDA's libraries, 5 GB.
        without_dependencies=("pnnx==20261020",),
        python=((3, 11), (3, 14)),
        modules=("ncnn",),
        size_bytes=220_000_000,
    ),
    Recipe(
        name="mnn",
        serves=(),
        requirements=("MNN==3.6.1", _NUMPY),
        python=((3, 11), (3, 14)),
        modules=("MNN", "_tools"),
        size_bytes=155_000_000,
    ),
    Recipe(
        name="tract",
        serves=(),
        requirements=("tract==0.23.9", _NUMPY),
        python=((3, 11), (3, 14)),
        machines=("Linux x86_64", "Darwin arm64", "Windows AMD64"),
        modules=("tract",),
        size_bytes=130_000_000,
    ),
    Recipe(
        name="onnxruntime-openvino",
        serves=("openvino-ep",),
        requirements=("onnxruntime-openvino==1.24.1", _NUMPY),
        python=((3, 11), (3, 13)),
        machines=("Linux x86_64", "Windows AMD64"),
        modules=("onnxruntime",),
        size_bytes=445_000_000,
    ),
    Recipe(
        name="onnxruntime-gpu",
        serves=(),
        requirements=("onnxruntime-gpu==1.31.1", _NUMPY),
        python=((3, 11), (3, 14)),
        machines=_NO_MAC,
        modules=("onnxruntime",),
        size_bytes=455_000_000,
    ),
    Recipe(
        name="onnxruntime-ggml",
        serves=(),
        # The plugin asks for less than 1.31.
        requirements=("onnxruntime-ggml==0.2.0", "onnxruntime==1.30.0", _NUMPY),
        python=((3, 11), (3, 14)),
        modules=("onnxruntime", "onnxruntime_ggml"),
        size_bytes=245_000_000,
    ),
    Recipe(
        name="litert",
        serves=(),
        requirements=(
            "ai-edge-litert==2.3.0",
            # What onnx2tf 2.6.9 asks for, in its versions.
            "numpy==2.2.6",
            "onnx==1.20.1",
            "onnxruntime==1.26.0",
            "opencv-python==4.13.0.92",
            "onnxsim==0.6.5",
            "onnxoptimizer==0.4.2",
            "onnxscript==0.6.2",
            "sne4onnx==2.0.1",
            "sng4onnx==2.0.1",
            "psutil==5.9.5",
            "protobuf==7.35.1",
            "h5py==3.14.0",
            "ml-dtypes==0.5.4",
            "setuptools==81.0.0",
            "flatbuffers==25.12.19",
            "tqdm==4.67.1",
        ),
        # It asks for ai-edge-litert 2.1.2, which it only runs what it has written with.
        without_dependencies=("onnx2tf==2.6.9",),
        python=((3, 12), (3, 13)),
        modules=("ai_edge_litert", "ai_edge_litert.interpreter", "onnx2tf"),
        size_bytes=630_000_000,
    ),
    Recipe(
        name="onnxruntime-qnn",
        serves=("qnn",),
        requirements=("onnxruntime-qnn==2.7.0", "onnxruntime==1.31.1", _NUMPY),
        python=((3, 11), (3, 14)),
        machines=_NO_MAC,
        modules=("onnxruntime", "onnxruntime_qnn"),
        size_bytes=505_000_000,
    ),
    Recipe(
        name="webgpu",
        serves=(),
        requirements=("onnxruntime-ep-webgpu==0.4.0", "onnxruntime==1.31.1", _NUMPY),
        python=((3, 11), (3, 14)),
        modules=("onnxruntime", "onnxruntime_ep_webgpu"),
        size_bytes=185_000_000,
    ),
    Recipe(
        name="tensorrt-rtx",
        serves=(),
        requirements=(
            "onnxruntime-ep-nv-tensorrt-rtx-cu13==0.5.0",
            "tensorrt-rtx-cu13-libs==1.7.1.116",
            "onnxruntime==1.31.1",
            _NUMPY,
        ),
        python=((3, 11), (3, 14)),
        machines=_NO_MAC,
        modules=("onnxruntime", "onnxruntime_ep_nv_tensorrt_rtx"),
        size_bytes=720_000_000,
    ),
    Recipe(
        name="migraphx",
        serves=(),
        requirements=("onnxruntime-migraphx==1.27.1", _NUMPY),
        python=((3, 11), (3, 14)),
        machines=("Linux x86_64",),
        modules=("onnxruntime",),
        size_bytes=170_000_000,
    ),
    Recipe(
        name="cuda",
        serves=("tensorrt",),
        requirements=(
            "onnxruntime-gpu==1.31.1",
            "nvidia-cublas==13.10.0.20",
            "nvidia-cudnn-cu13==9.28.1.4",
            "nvidia-cufft==12.5.0.14",
            "nvidia-curand==10.4.5.25",
            "nvidia-cuda-nvrtc==13.5.37",
            "nvidia-cuda-runtime==13.5.37",
            _NUMPY,
        ),
        python=((3, 11), (3, 14)),
        machines=_NO_MAC,
        modules=("onnxruntime",),
        size_bytes=2_900_000_000,
    ),
)


def find(name: str) -> Recipe:
    """Return the recipe called ``name``, or the one that serves it.

    Raises UsageError with the nearest name.
    """
    by_name = {known: recipe for recipe in RECIPES for known in (recipe.name, *recipe.serves)}
    if name in by_name:
        return by_name[name]
    raise UsageError(f"no environment {name}", did_you_mean(name, by_name))
