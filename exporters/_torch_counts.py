"""What torch executes in one forward pass: multiply-accumulates, convolutions, matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from onnxbench.sources import SourceCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

_aten = torch.ops.aten
_CONVOLUTIONS = {_aten.convolution, _aten._convolution, _aten.cudnn_convolution}  # noqa: SLF001
_PRODUCTS = {_aten.mm, _aten.addmm, _aten.bmm, _aten.baddbmm}
_VECTOR_PRODUCTS = {_aten.mv: 0, _aten.addmv: 1, _aten.dot: 0}
"""Products that torch's own counter leaves out; the value is where the first factor stands."""
_ATTENTION = {
    _aten._scaled_dot_product_flash_attention_for_cpu,  # noqa: SLF001 - the kernel's name
    _aten._scaled_dot_product_flash_attention,  # noqa: SLF001
    _aten._scaled_dot_product_efficient_attention,  # noqa: SLF001
    _aten._scaled_dot_product_cudnn_attention,  # noqa: SLF001
}
"""Each is two matrix products."""


class _Counting(TorchDispatchMode):  # type: ignore[misc] # torch ships no types here
    def __init__(self) -> None:
        super().__init__()
        self.macs = self.convolutions = self.matmuls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operator = func.overloadpacket
        if operator in _ATTENTION:
            self.matmuls += 2
            self.macs += sdpa_flop_count(*(each.shape for each in args[:3])) // 2
        elif operator in _CONVOLUTIONS or operator in _PRODUCTS:
            self.convolutions += operator in _CONVOLUTIONS
            self.matmuls += operator in _PRODUCTS
            self.macs += flop_registry[operator](*args, **(kwargs or {}), out_val=result) // 2
        elif operator in _VECTOR_PRODUCTS:
            self.matmuls += 1
            self.macs += args[_VECTOR_PRODUCTS[operator]].numel()
        return result


def count(module: Any, inputs: Sequence[Any]) -> SourceCounts:
    """Return what one forward pass over ``inputs`` executes."""
    counting = _Counting()
    with torch.no_grad(), counting:
        module(*inputs)
    return SourceCounts(counting.macs, counting.convolutions, counting.matmuls)
