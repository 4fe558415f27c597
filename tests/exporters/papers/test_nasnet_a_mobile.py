from __future__ import annotations

from functools import partial
from types import ModuleType

from tests.exporters.papers.counting import Count, measured


def test_counts_are_the_published_ones(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.nasnet_a_mobile import nasnet_a_mobile

    count = measured(torch, nasnet_a_mobile)
    assert round(count.params / 1e6, 1) == 5.3  # table 2 of arXiv:1707.07012
    assert round(count.macs / 1e6) == 564
    # Keras's NASNetMobile, without the auxiliary classifier: trainable and not trainable.
    assert Count(count.params, buffers=count.buffers) == Count(5_289_978, buffers=36_738)


def test_the_same_cells_make_nasnet_a_large(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.nasnet_a_mobile import _NasNetA

    count = measured(torch, partial(_NasNetA, cells=6, filters=168, stem=96), size=331)
    assert round(count.macs / 1e9, 1) == 23.8  # table 2, 6 @ 4032
    assert round((count.params + count.buffers) / 1e6, 1) == 88.9
    # Keras's NASNetLarge; timm's nasnetalarge has as many parameters.
    assert Count(count.params, buffers=count.buffers) == Count(88_753_150, buffers=196_668)


def test_second_grid_of_a_halving_is_one_pixel_off(torch: ModuleType) -> None:
    from onnxbench.exporters.papers.nasnet_a_mobile import _Halve

    halve = _Halve(1, 2).eval()
    for grid in (halve.even, halve.odd):
        torch.nn.init.ones_(grid.weight)
    for size, last in ((4, 16.0), (3, 0.0)):
        image = torch.arange(1.0, size**2 + 1).view(1, 1, size, size)
        even, odd = halve(image)[0].round()
        assert (even[0, 0], even[0, 1]) == (1, 3)
        assert (odd[0, 0], odd[-1, -1]) == (size + 2, last)
