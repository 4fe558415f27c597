from __future__ import annotations

from types import ModuleType

from tests.exporters.papers.counting import Count, convolution, measured

# torchvision 0.28.0: num_params of ResNet101_Weights and ResNet152_Weights.
RESNET101_PARAMS, RESNET152_PARAMS = 44_549_160, 60_192_808


def test_counts_of_the_paper(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.resnet import caffe_resnet101

    count = measured(torch, caffe_resnet101)
    assert count.params == RESNET101_PARAMS
    assert round(count.macs / 1e9, 1) == 7.6  # table 1 of arXiv:1512.03385


def test_stride_in_the_3x3_convolution_and_biases_are_what_sets_fb_resnet152_apart(
    torch: ModuleType,
) -> None:
    from onnxbench.exporters.papers.resnet import _resnet, fb_resnet152

    of_the_paper = measured(torch, lambda: _resnet((3, 8, 36, 3), early_stride=True, bias=False))
    assert of_the_paper.params == RESNET152_PARAMS
    assert round(of_the_paper.macs / 1e9, 1) == 11.3
    # Three stages begin with a 1×1 convolution at twice, and so four times, the resolution.
    moved = Count()
    for channels, width, size in ((256, 128, 28), (512, 256, 14), (1024, 512, 7)):
        moved += convolution(channels, width, 1, size) * 3
    count = measured(torch, fb_resnet152)
    assert count.macs == of_the_paper.macs + moved.macs
    biases = count.buffers // 2  # a convolution and its normalisation have as many channels
    assert count.params == RESNET152_PARAMS + biases
    assert biases == 75_712
