from __future__ import annotations

from types import ModuleType

from tests.exporters.papers.counting import Count, convolution, linear, measured, norm

PYTORCHCV_PARAMS = 11_295_240  # pytorchcv 0.0.74, bninception

# Figure 5 of arXiv:1502.03167: channels before, 1×1, 3×3, double 3×3, projection, size after.
FIGURE_5 = (
    (192, 64, (64, 64), (64, 96), 32, 28),
    (256, 64, (64, 96), (64, 96), 64, 28),
    (320, 0, (128, 160), (64, 96), 0, 14),
    (576, 224, (64, 96), (96, 128), 128, 14),
    (576, 192, (96, 128), (96, 128), 128, 14),
    (576, 160, (128, 160), (128, 160), 128, 14),
    (608, 96, (128, 192), (160, 192), 128, 14),
    (608, 0, (128, 192), (192, 256), 0, 7),
    (1056, 352, (192, 320), (160, 224), 128, 7),
    (1024, 352, (192, 320), (192, 224), 128, 7),
)


def normed(channels: int, filters: int, kernel: int, size: int) -> Count:
    return convolution(channels, filters, kernel, size, bias=True) + norm(filters)


def test_counts_follow_from_figure_5(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.bn_inception import bn_inception

    by_hand = normed(3, 64, 7, 112) + normed(64, 64, 1, 56) + normed(64, 192, 3, 56)
    for channels, single, (reduce, triple), (narrow, double), project, size in FIGURE_5:
        before = size if single else 2 * size  # modules without a 1×1 branch stride
        by_hand += normed(channels, reduce, 1, before) + normed(reduce, triple, 3, size)
        by_hand += normed(channels, narrow, 1, before) + normed(narrow, double, 3, before)
        by_hand += normed(double, double, 3, size)
        if single:
            by_hand += normed(channels, single, 1, size) + normed(channels, project, 1, size)
    by_hand += linear(1024, 1000)
    assert measured(torch, bn_inception) == by_hand
    assert by_hand.params == PYTORCHCV_PARAMS
