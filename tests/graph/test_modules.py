"""Modules of the original network: their paths, and what each costs with all inside it."""

from __future__ import annotations

import pytest
from onnx import helper

from onnxbench.graph.dims import Count, symbol
from onnxbench.graph.modules import MAX_LEVELS, ModuleProfile, module_path, tree
from onnxbench.graph.network import Node
from onnxbench.graph.profile import NodeProfile


def node(name: str, scopes: str | None = None) -> Node:
    proto = helper.make_node("Relu", ["x"], ["y"], name=name)
    if scopes is not None:
        proto.metadata_props.add(key="pkg.torch.onnx.fx_node", value="%relu")
        proto.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    return Node(proto, "Relu", "", name, 21, (), ())


def row(
    *module: str,
    macs: Count | None = 0,
    params: int = 0,
    bytes_read: Count | None = 0,
    status: str = "exact",
) -> NodeProfile:
    return NodeProfile(
        name="n", op="MatMul", domain="", kind="contraction", module=module, where="", times=1,
        macs=macs, macs_least=macs, flops=None if macs is None else macs * 2, flops_least=0,
        transcendentals=0, params=params, weight_bytes=4 * params, bytes_read=bytes_read,
        bytes_written=8, precision="fp32", status="unknown" if status == "unknown" else "exact",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scopes", "path"),
    [
        ("['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']", ("layer1", "0", "conv1")),
        ("['', 'model', 'model.layers.11', 'model.layers.11.mlp', 'mul_3']",
         ("model", "layers", "11", "mlp")),
        ("['', 'add']", ()),
        ("['']", ()),
        ("", ()),
        ("no list, at all", ()),
    ],
)  # fmt: skip
def test_torch_writes_the_modules_into_the_metadata(scopes: str, path: tuple[str, ...]) -> None:
    assert module_path(node("/other/Relu", scopes)) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/layer1/layer1.0/conv1/Conv", ("layer1", "0", "conv1")),
        ("/features/features.0/features.0.0/Conv_1", ("features", "0", "0")),
        ("/encoder/layer.0/attention/self/query/MatMul", ("encoder", "layer", "0", "attention",
                                                          "self", "query")),
        ("/Relu", ()),
        ("Relu_7", ()),
        ("", ()),
        ("resnet/block1/conv/Conv2D", ("resnet", "block1", "conv")),
        ("v1.5/block/Conv2D", ("v1.5", "block")),
        ("//a//b/Relu", ("a", "b")),
    ],
)  # fmt: skip
def test_other_exporters_write_the_modules_into_the_name(name: str, path: tuple[str, ...]) -> None:
    assert module_path(node(name)) == path


def test_both_exporters_of_torch_give_one_module_one_path() -> None:
    old = node("/blocks/blocks.3/attn/qkv/MatMul")
    new = node(
        "node_linear", "['', 'blocks', 'blocks.3', 'blocks.3.attn', 'blocks.3.attn.qkv', 'l']"
    )
    assert module_path(old) == module_path(new) == ("blocks", "3", "attn", "qkv")


def test_a_hostile_name_gives_no_deep_tree() -> None:
    assert len(module_path(node("/" + "a/" * 30_000 + "Relu"))) == MAX_LEVELS
    assert len(module_path(node("", f"[{'x' * 9}{str(['a.b'] * 9000)[1:]}"))) <= MAX_LEVELS


def shape(module: ModuleProfile) -> list[tuple[tuple[str, ...], int]]:
    """Return paths with their number of nodes, a module before its children."""
    return [(module.path, module.nodes), *(each for child in module.children
                                           for each in shape(child))]  # fmt: skip


def test_a_module_has_the_sums_over_all_that_is_inside_it() -> None:
    found = tree([
        row("a", "0", macs=5, params=3, bytes_read=10),
        row("b", macs=7, params=1),
        row("a", "1", macs=11, params=2),
        row("a", macs=1),
        row(macs=100),
    ])  # fmt: skip
    assert shape(found) == [
        ((), 5), (("a",), 3), (("a", "0"), 1), (("a", "1"), 1), (("b",), 1),
    ]  # fmt: skip
    assert (found.macs, found.flops, found.params, found.weight_bytes) == (124, 248, 6, 24)
    assert (found.bytes_read, found.bytes_written) == (10, 40)
    a = found.children[0]
    assert (a.macs, a.params, a.bytes_read, a.bytes_written) == (17, 5, 10, 24)


def test_sums_may_be_formulas() -> None:
    batch = symbol("B")
    found = tree([row("a", macs=batch * 6), row("a", macs=batch * batch), row("b", macs=1)])
    assert found.macs == batch * batch + batch * 6 + 1
    assert found.children[0].flops == batch * batch * 2 + batch * 12


def test_what_could_not_be_counted_is_flagged_all_the_way_up() -> None:
    found = tree([row("a", "x", macs=None, bytes_read=None, status="unknown"), row("b", macs=3)])
    assert (found.macs, found.unknown) == (3, 1)
    assert [child.unknown for child in found.children] == [1, 0]
    assert found.children[0].children[0].unknown == 1
    assert found.children[0].macs == 0


def test_a_network_without_nodes_costs_nothing() -> None:
    assert tree([]) == ModuleProfile((), 0, 0, 0, 0, 0, 0, 0, 0, ())
