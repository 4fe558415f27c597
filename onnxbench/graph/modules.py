"""Which module of the original network a node belongs to, and what each module costs.

torch's exporter writes the modules around a node into its metadata; its older exporter, and those
of other frameworks, write them into the node's name. Either way a path is the one by which torch
itself names a module: ``("layer1", "0", "conv1")`` for ``layer1.0.conv1``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from onnxbench.graph.totals import Total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxbench.graph.dims import Count
    from onnxbench.graph.network import Node
    from onnxbench.graph.profile import NodeProfile

MAX_LEVELS = 32
"""Modules inside one another; whatever lies deeper counts for the one at this depth."""

_SCOPES = "pkg.torch.onnx.name_scopes"
_MAX_TEXT = 4096
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class ModuleProfile:
    """What one module costs with everything inside it.

    ``path``: names of the modules from the outermost to this one; () is the whole network.
    Nodes that could not be counted add nothing to the sums; ``unknown`` is their number.
    """

    path: tuple[str, ...]
    nodes: int
    macs: Count
    flops: Count
    params: int
    weight_bytes: int
    bytes_read: Count
    bytes_written: Count
    unknown: int
    children: tuple[ModuleProfile, ...]


def module_path(node: Node) -> tuple[str, ...]:
    """Return the path of the module that ``node`` comes from; () if the file does not tell."""
    properties = node.proto.metadata_props
    for entry in properties or ():  # to ask is faster than to go through none
        if entry.key == _SCOPES:
            # The last of them is the operation itself.
            return _from_scopes(entry.value[:_MAX_TEXT].rpartition(",")[0])
    return _from_name(node.name[:_MAX_TEXT].rpartition("/")[0])


def tree(nodes: Iterable[NodeProfile]) -> ModuleProfile:
    """Return the network as a tree of modules, each with the sums over the nodes inside it.

    Children stand in the order in which they first run.
    """
    root = _Module(())
    for node in nodes:
        module = root
        for name in node.module:
            child = module.children.get(name)
            if child is None:
                child = module.children[name] = _Module((*module.path, name))
            module = child
        module.add(node)
    return root.profile()


@dataclass(slots=True)
class _Module:
    """A module whose nodes are being added: its own first, those of its children at the end."""

    path: tuple[str, ...]
    children: dict[str, _Module] = field(default_factory=dict)
    nodes: int = 0
    unknown: int = 0
    params: int = 0
    weight_bytes: int = 0
    sums: tuple[Total, ...] = field(default_factory=lambda: tuple(Total() for _ in range(4)))

    def add(self, node: NodeProfile) -> None:
        self.nodes += 1
        self.unknown += node.status == "unknown"
        self.params += node.params
        self.weight_bytes += node.weight_bytes
        self._add(node.macs, node.flops, node.bytes_read, node.bytes_written)

    def profile(self) -> ModuleProfile:
        children = tuple(child.profile() for child in self.children.values())
        for child in children:
            self._add(child.macs, child.flops, child.bytes_read, child.bytes_written)
        macs, flops, bytes_read, bytes_written = (total.value() for total in self.sums)
        return ModuleProfile(
            path=self.path,
            nodes=self.nodes + sum(child.nodes for child in children),
            macs=macs,
            flops=flops,
            params=self.params + sum(child.params for child in children),
            weight_bytes=self.weight_bytes + sum(child.weight_bytes for child in children),
            bytes_read=bytes_read,
            bytes_written=bytes_written,
            unknown=self.unknown + sum(child.unknown for child in children),
            children=children,
        )

    def _add(self, *figures: Count | None) -> None:
        for total, figure in zip(self.sums, figures, strict=True):
            if figure is not None:
                total.add(figure)


@lru_cache(maxsize=4096)
def _from_scopes(text: str) -> tuple[str, ...]:
    """Read ``['', 'layer1', 'layer1.0'``: full names, one inside the other."""
    return _relative(name for name in _QUOTED.findall(text) if name)


@lru_cache(maxsize=4096)
def _from_name(scope: str) -> tuple[str, ...]:
    """Read ``/layer1/layer1.0/conv1`` of torch or ``model/block/conv`` of other frameworks."""
    names = [name for name in scope.split("/") if name]
    return _relative(names) if scope.startswith("/") else tuple(names[:MAX_LEVELS])


def _relative(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name without the part that the one before it already says."""
    path: list[str] = []
    outer = ""
    for name in names:
        own = name.removeprefix(f"{outer}.") if outer else name
        path += (part for part in own.split(".") if part)
        outer = name
    return tuple(path[:MAX_LEVELS])
