"""The nine networks of the onnx package with their true cost.

MACs were summed over convolutions and matrix products from the published architectures' shapes.
Parameters are the learned elements, `buffers` the running statistics of batch normalization.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnxbench.exporters.onnx_light import OnnxLightExporter
from onnxbench.types import ModelSpec


@dataclass(frozen=True, slots=True)
class LightNetwork:
    """The truth about one of them."""

    title: str
    nodes: int
    macs: int
    params: int
    buffers: int = 0


NETWORKS = {
    "bvlc_alexnet": LightNetwork("AlexNet", 40, 654_560_384, 60_965_224),
    "densenet121": LightNetwork("DenseNet-121", 1746, 2_834_161_664, 8_062_504, 83_648),
    "inception_v1": LightNetwork("Inception-v1", 237, 1_431_556_352, 6_998_552),
    "inception_v2": LightNetwork("Inception-v2", 916, 2_018_851_840, 11_214_888, 19_904),
    "resnet50": LightNetwork("ResNet-50", 415, 4_089_184_256, 25_557_032, 53_120),
    "shufflenet": LightNetwork("ShuffleNet", 446, 124_664_528, 1_393_320, 26_832),
    "squeezenet": LightNetwork("SqueezeNet", 105, 349_151_936, 1_235_496),
    "vgg19": LightNetwork("VGG-19", 82, 19_632_062_464, 143_667_240),
    "zfnet512": LightNetwork("ZFNet-512", 38, 1_481_727_008, 87_250_536),
}


def path(name: str) -> Path:
    """Return the file of a network."""
    return OnnxLightExporter().locate(ModelSpec(f"{name}-light", f"onnx-light:{name}"), Path())
