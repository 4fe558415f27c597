"""Hand-made profiles: what the analyzer would give, small enough to add up by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

from onnxbench.graph.dims import symbol
from onnxbench.graph.profile import (
    Binding,
    GraphProfile,
    Memory,
    NodeProfile,
    Parameters,
    Signature,
    UnknownOperator,
)

B, S = symbol("B"), symbol("S")


def node(name: str, op: str = "Conv", **changes: Any) -> NodeProfile:
    """A convolution of 1,000 MACs; ``changes`` are its other fields."""
    return NodeProfile(
        **{
            "name": name,
            "op": op,
            "domain": "",
            "kind": "contraction",
            "module": (),
            "where": "",
            "times": 1,
            "macs": 1000,
            "macs_least": 1000,
            "flops": 2000,
            "flops_least": 2000,
            "transcendentals": 0,
            "params": 10,
            "weight_bytes": 40,
            "bytes_read": 300,
            "bytes_written": 200,
            "precision": "fp32",
            "status": "exact",
            "shapes_out": ((1, 8, 4, 4),),
            **changes,
        }
    )


def relu(name: str, **changes: Any) -> NodeProfile:
    """A Relu of 128 elements."""
    figures = {"macs": 0, "macs_least": 0, "flops": 128, "flops_least": 128, "params": 0}
    return node(
        name, "Relu", kind="elementwise", precision="", weight_bytes=0, **{**figures, **changes}
    )


def unknown(name: str, op: str = "Mystery", domain: str = "com.example") -> NodeProfile:
    """A node that nobody can count."""
    nothing = dict.fromkeys(("macs", "macs_least", "flops", "flops_least", "transcendentals"))
    return node(
        name, op, domain=domain, kind="function", precision="", status="unknown",
        reason="no rule", bytes_written=None, params=0, weight_bytes=0, shapes_out=(None,),
        **nothing,
    )  # fmt: skip


def profile(*nodes: NodeProfile, **changes: Any) -> GraphProfile:
    """A profile of ``nodes`` with the totals that they add up to; ``changes`` on top."""

    def total(key: str) -> Any:
        return sum((getattr(each, key) or 0) for each in nodes)

    missing = [each for each in nodes if each.status == "unknown"]
    found = GraphProfile(
        path="/models/net.onnx",
        sha256=None,
        producer="pytorch 2.13",
        ir_version=10,
        opset={"": 17},
        binding=Binding(),
        convention="pure",
        inputs=(Signature("x", "fp32", (1, 3, 8, 8)),),
        outputs=(Signature("y", "fp32", (1, 10)),),
        symbols=(),
        macs=total("macs"),
        macs_least=total("macs_least"),
        flops=total("flops"),
        flops_least=total("flops_least"),
        transcendentals=total("transcendentals"),
        macs_by_precision={"fp32": total("macs")},
        preparation_macs=0,
        macts=128,
        bytes_read=total("bytes_read"),
        bytes_written=total("bytes_written"),
        parameters=parameters(params=total("params"), weight_bytes=total("weight_bytes")),
        memory=Memory(4096, 2048, 1024, 512, "conv1"),
        kv_cache=None,
        nodes=nodes,
        node_count=len(nodes),
        unknown=tuple(
            UnknownOperator(each.op, each.domain, 1, each.reason, (each.name,), None)
            for each in missing
        ),
        exact=all(each.status == "exact" for each in nodes),
        coverage=1 - len(missing) / max(len(nodes), 1),
    )
    return dataclasses.replace(found, **changes)


def parameters(**changes: Any) -> Parameters:
    """Nothing but ``changes``."""
    nothing = Parameters(0, 0, 0, 0, 0, 0, 0, 0, 0, None, {})
    return dataclasses.replace(nothing, **changes)
