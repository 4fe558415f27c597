"""What an exporter notes of the PyTorch call that a node stands for.

torch's exporter decomposes some calls into plainer operators. Whoever counts calls, as fvcore does,
has to know which; the exporter leaves the module classes and the source line in the node's
metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbench.graph.network import Node

_CLASSES = "pkg.torch.onnx.class_hierarchy"
_SOURCE = "pkg.torch.onnx.stack_trace"
_MAX_TEXT = 65_536


def is_adaptive_pool(node: Node) -> bool:
    """Tell whether a node stands for adaptive_avg_pool2d: the module or the function."""
    for entry in node.proto.metadata_props:
        text = entry.value[-_MAX_TEXT:]
        if entry.key == _CLASSES and "torch.nn.modules.pooling.AdaptiveAvgPool2d" in text:
            return True
        if entry.key == _SOURCE and "adaptive_avg_pool2d(" in text.rpartition("\n")[2]:
            return True
    return False
