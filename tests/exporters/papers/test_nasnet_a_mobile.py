from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

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


def lend(theirs: Any, mine: Any) -> None:
    """Give ``mine`` the weights of ``theirs``, whose tensors have other names in the same order."""
    names = [key for key in mine.state_dict() if "num_batches" not in key]
    values = [v for key, v in theirs.state_dict().items() if "num_batches" not in key]
    mine.load_state_dict(dict(zip(names, values, strict=True)), strict=False)


@pytest.mark.parametrize("kind", ["normal", "after a reduction", "reduction"])
@pytest.mark.parametrize("size", [14, 15])
def test_cells_are_wired_as_those_of_timm(torch: ModuleType, kind: str, size: int) -> None:
    if find_spec("timm") is None:
        pytest.skip("needs timm")
    from onnxbench.exporters import _torch_libraries
    from onnxbench.exporters.papers import nasnet_a_mobile as papers

    _torch_libraries.timm()
    from timm.models import nasnet

    torch.manual_seed(0)
    apart = kind == "after a reduction"
    channels = {"in_chs_left": 48, "in_chs_right": 40, "out_chs_right": 8}
    build = {
        "normal": nasnet.NormalCell,
        "after a reduction": nasnet.FirstCell,
        "reduction": nasnet.ReductionCell0,
    }[kind]
    theirs = build(**channels, out_chs_left=4 if apart else 8).eval()
    fit = papers._fit(48, 8, 2 if apart else 1)
    mine: Any
    if kind == "reduction":
        mine = papers._Reduction(40, 8, fit, older=8).eval()
        lend(theirs.comb_iter_0_right, mine.older_7[0])
        lend(theirs.comb_iter_1_right, mine.older_7[1])
        lend(theirs.comb_iter_2_right, mine.older_5)
        lend(theirs.comb_iter_4_left, mine.inner_3)
    else:
        mine = papers._Normal(40, 8, fit).eval()
        lend(theirs.comb_iter_0_right, mine.older_3[0])
        lend(theirs.comb_iter_1_left, mine.older_5)
        lend(theirs.comb_iter_1_right, mine.older_3[1])
        lend(theirs.comb_iter_4_left, mine.newer_3)
    lend(theirs.comb_iter_0_left, mine.newer_5)
    lend(theirs.conv_1x1, mine.fit_newer)
    if apart:
        lend(theirs.path_1.conv, mine.fit_older.even)
        lend(theirs.path_2.conv, mine.fit_older.odd)
        lend(theirs.final_path_bn, mine.fit_older.norm)
    else:
        lend(theirs.conv_prev_1x1, mine.fit_older)
    half = (size + 1) // 2 if apart else size
    newer, older = torch.randn(2, 40, half, half), torch.randn(2, 48, size, size)
    with torch.no_grad():
        torch.testing.assert_close(mine(newer, older), theirs(newer, older))
