from __future__ import annotations

from types import ModuleType

from tests.exporters.papers.counting import Count, measured, norm

# torchvision 0.28.0, AlexNet_Weights.IMAGENET1K_V1: num_params, and _ops in GMACs.
TORCHVISION_PARAMS, TORCHVISION_GMACS = 61_100_840, 0.714


def test_counts_are_those_of_torchvisions_alexnet_and_of_the_normalisation(
    torch: ModuleType,
) -> None:
    from onnxbench.exporters.papers.bn_alexnet import bn_alexnet

    norms = norm(64) + norm(192) + norm(384) + norm(256) * 2 + norm(4096) * 2
    count = measured(torch, bn_alexnet)
    assert Count(count.params, buffers=count.buffers) == Count(TORCHVISION_PARAMS) + norms
    assert round(count.macs / 1e9, 3) == TORCHVISION_GMACS
