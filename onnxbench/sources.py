"""Where a model comes from: what the catalogue says of it, and how an exporter is asked for it.

An exporter runs in a process of its own, often in another environment: what crosses that boundary
is told here as plain data. This module is part of the exporters' bundle: stdlib only,
Python ≥ 3.10.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

JsonObject = dict[str, Any]

WeightsChoice = Literal["pretrained", "random"]

BATCH = "batch"
"""Name of the open first dim of an exported model's inputs."""

DEFAULT_OPSET = 18
"""What torch's exporter writes without a conversion, and every runtime of the last years reads."""

MODEL_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"
"""Names of an exported model and its external data: always these, for the second stands inside
the first, and equal models shall be equal bytes."""


INSIDE_BYTES = 100_000_000
"""Weights up to this size stand in the model file itself, which is then the only file."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model to be exported.

    ``shape``: the first dim is `BATCH` where the batch is to stay open. ``dtype``: the ONNX name
    (``float``, ``int64`` …). ``high``: integers are drawn from [0, high).
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float"
    high: int = 2

    def sized(self, batch: int) -> tuple[int, ...]:
        """Return the shape at a batch size."""
        return tuple(batch if isinstance(dim, str) else dim for dim in self.shape)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes the input, in this order: resize, crop, scale to [0, 1], normalise.

    ``resize``: length of the shorter side in pixels, or (height, width). ``crop``: (height, width)
    of the centre crop. ``mean``, ``std``: per channel, on the scale [0, 1].
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    layout: str = "NCHW"
    channels: str = "RGB"


@dataclass(frozen=True, slots=True)
class Published:
    """What somebody else says of a model. ``source`` says who; ``convention`` how MACs and
    parameters were counted (``pure``, ``fvcore``, ``paddle`` …; None: not said).

    ``top1``, ``top5``: per cent on ImageNet-1k's validation set. ``macs``: per image of ``size``
    pixels a side. ``buffers``: running statistics, counted apart from ``params``.
    """

    source: str
    convention: str | None = None
    top1: float | None = None
    top5: float | None = None
    params: int | None = None
    buffers: int | None = None
    macs: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What an exporter is told. ``location``: the part of the source after its first colon.

    ``weights_from``: a pip requirement whose package ships the trained weights. ``seed``: of random
    weights. ``opset``: None leaves it to the exporter, which takes `DEFAULT_OPSET` if it can.
    ``keep_bn``: no BatchNormalization is folded into a convolution. ``fuse``: a network that is
    trained in another form than it runs in (RepVGG) is exported in the form it runs in.
    ``inputs``: empty leaves them to the source. ``arguments`` go to the function that builds the
    network. ``folder``: where `MODEL_FILE` is to be written.
    """

    id: str
    location: str
    folder: str
    weights: WeightsChoice = "random"
    weights_from: str | None = None
    seed: int = 0
    opset: int | None = None
    keep_bn: bool = False
    fuse: bool = False
    inputs: tuple[InputSpec, ...] = ()
    preprocess: Preprocess | None = None
    arguments: tuple[tuple[str, Any], ...] = ()

    def document(self) -> JsonObject:
        """Return the request as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, document: JsonObject) -> ExportRequest:
        """Return the request that `document` was made of, also after JSON."""
        preprocess = document["preprocess"]
        return cls(
            **{
                **document,
                "inputs": tuple(map(input_from, document["inputs"])),
                "preprocess": None if preprocess is None else preprocess_from(preprocess),
                "arguments": tuple((key, value) for key, value in document["arguments"]),
            }
        )


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a loaded source says of itself.

    ``outputs``: names, as they will stand in the file. ``weights``: what the numbers are, in words
    (``pretrained: timm/resnet50.a1_in1k``, ``random: seed 0``). ``params``: learnable elements,
    shared ones once, None where nobody can tell; ``norm_params``: those of them that folding a
    normalisation removes; ``buffers``: running statistics. ``versions``: of the packages that
    made it.
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    weights: str
    params: int | None
    norm_params: int
    buffers: int
    versions: dict[str, str]
    preprocess: Preprocess | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What the source framework executes for one item: ``macs`` of convolutions and matrix
    products, and the calls of each."""

    macs: int
    convolutions: int
    matmuls: int


@dataclass(frozen=True, slots=True)
class Written:
    """What an exporter wrote. ``route``: which of its ways led there (``torch.onnx dynamo``).

    ``notes``: what else was tried and why it failed, and what the user should know.
    """

    route: str
    opset: int
    dynamic_batch: bool
    notes: tuple[str, ...] = ()


def input_from(document: JsonObject) -> InputSpec:
    """Return the InputSpec that stands in ``document``."""
    return InputSpec(**{**document, "shape": tuple(document["shape"])})


def preprocess_from(document: JsonObject) -> Preprocess:
    """Return the Preprocess that stands in ``document``; lists become tuples."""
    values: JsonObject = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
    return Preprocess(**values)
