"""Branches, loops, function bodies and operators that nobody knows: what a total may say of them.

The matrix products in the bodies have 4·8·8 = 256 MACs (M), or twice as many (2 M).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest

from onnxbench.graph.analysis import analyze
from onnxbench.graph.formulas import parse
from onnxbench.graph.profile import Binding

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.graph.profile import Convention, GraphProfile, NodeProfile

M = 4 * 8 * 8
HEAD = '<ir_version: 10, opset_import: ["" : 21, "my.domain" : 1]>\n'
SIGNATURE = "g (bool c, float[4,8] x, float[8,8] w) => (float[4,8] y)"
ONE = "then_branch = one () => (float[4, 8] p) { p = MatMul(x, w) }"
TWO = "else_branch = two () => (float[4, 8] r) { q = MatMul(x, w) r = MatMul(q, w) }"


def profile(
    folder: Path, graph: str, binding: Binding | None = None, convention: Convention = "pure"
) -> GraphProfile:
    path = folder / "model.onnx"
    onnx.save(onnx.parser.parse_model(HEAD + graph), path)
    return analyze(path, binding, convention)


def row(found: GraphProfile, op: str) -> NodeProfile:
    (node,) = [node for node in found.nodes if node.op == op]
    return node


def test_of_an_if_the_costlier_branch_counts_and_the_cheaper_one_bounds(tmp_path: Path) -> None:
    graph = f"{SIGNATURE} {{ y = If (c) <{ONE}, {TWO}> }}"
    found = profile(tmp_path, graph)
    assert (found.macs_least, found.macs) == (M, 2 * M)
    assert (found.flops_least, found.flops) == (2 * M, 4 * M)
    assert not found.exact
    assert row(found, "If").status == "bounded"
    assert sum(node.macs for node in found.nodes if isinstance(node.macs, int)) == 2 * M


@pytest.mark.parametrize(("condition", "macs"), [(1, M), (0, 2 * M)])
def test_of_an_if_with_a_constant_condition_that_branch_counts(
    tmp_path: Path, condition: int, macs: int
) -> None:
    graph = (
        f"g (float[4,8] x, float[8,8] w) => (float[4,8] y) <bool c = {{{condition}}}> "
        f"{{ y = If (c) <{ONE}, {TWO}> }}"
    )
    found = profile(tmp_path, graph)
    assert (found.macs, found.macs_least, found.exact) == (macs, macs, True)
    assert len([node for node in found.nodes if node.op == "MatMul"]) == macs // M


def test_branches_that_cost_the_same_leave_the_total_exact(tmp_path: Path) -> None:
    same = ONE.replace("then_branch = one", "else_branch = two")
    graph = f"{SIGNATURE} {{ y = If (c) <{ONE}, {same}> }}"
    found = profile(tmp_path, graph)
    assert (found.macs, found.exact) == (M, True)


def test_a_branch_whose_cost_is_unknown_keeps_the_total_from_looking_exact(tmp_path: Path) -> None:
    odd = "else_branch = two () => (float[4, 8] r) { r = my.domain.Odd(x) }"
    graph = f"{SIGNATURE} {{ y = If (c) <{ONE}, {odd}> }}"
    found = profile(tmp_path, graph)
    assert not found.exact
    assert [each.op for each in found.unknown] == ["Odd"]


def loop(trip: str, first: str, last: str, before: str = "") -> str:
    return (
        "g (int64 m, bool c, float[8,8] w, float[8,8] x) => (float[8,8] y) "
        "<int64 five = {5}, bool yes = {1}> {"
        f"{before} y = Loop ({trip}, {first}, x) <body = body (int64 i, bool go, float[8,8] s) "
        f"=> (bool again, float[8,8] t) {{ {last} t = MatMul(s, w) }}> }}"
    )


def test_a_loop_of_constant_length_counts_its_body_as_often(tmp_path: Path) -> None:
    found = profile(tmp_path, loop("five", "yes", "again = Identity(go)"))
    assert (found.macs, found.exact) == (5 * 512, True)
    assert row(found, "MatMul").times == 5


def test_a_loop_without_a_condition_runs_to_its_limit(tmp_path: Path) -> None:
    always = "again = Constant <value = bool {1}> ()"
    found = profile(tmp_path, loop("five", "", always))
    assert (found.macs, found.exact) == (5 * 512, True)


def test_a_loop_that_may_stop_early_is_bounded(tmp_path: Path) -> None:
    found = profile(tmp_path, loop("five", "c", "again = Identity(go)"))
    assert (found.macs_least, found.macs, found.exact) == (0, 5 * 512, False)


def test_a_loop_of_open_length_is_a_symbol_that_the_user_may_set(tmp_path: Path) -> None:
    graph = loop("m", "yes", "again = Identity(go)")
    found = profile(tmp_path, graph)
    assert found.macs == parse("512*n_Loop_0")
    assert found.symbols == ("n_Loop_0",)
    assert profile(tmp_path, graph, Binding(dims={"n_Loop_0": 7})).macs == 7 * 512


def test_a_loop_without_end_is_a_symbol_too(tmp_path: Path) -> None:
    graph = loop("far", "c", "again = Identity(go)").replace("five = {5}", f"far = {{{2**63 - 1}}}")
    assert profile(tmp_path, graph).macs == parse("512*n_Loop_0")


def test_loops_inside_loops_multiply(tmp_path: Path) -> None:
    graph = """
    g (float[8,8] x, float[8,8] w) => (float[8,8] y)
    <int64 three = {3}, int64 four = {4}, bool yes = {1}> {
      y = Loop (three, yes, x) <body = outer (int64 i, bool go, float[8,8] s)
      => (bool again, float[8,8] t) {
        again = Identity(go)
        t = Loop (four, yes, s) <body = inner (int64 j, bool on, float[8,8] u)
        => (bool more, float[8,8] v) {
          more = Identity(on)
          v = MatMul(u, w)
        }>
      }>
    }"""
    found = profile(tmp_path, graph)
    assert (found.macs, found.exact) == (12 * 512, True)
    assert row(found, "MatMul").where.count("body") == 2


def test_a_scan_runs_once_for_each_element_of_its_axis(tmp_path: Path) -> None:
    graph = """
    g (float[1,8] s, float[T,1,8] x, float[8,8] w) => (float[1,8] z, float[T,1,8] y) {
      z, y = Scan (s, x) <num_scan_inputs = 1, body = body (float[1,8] a, float[1,8] b)
      => (float[1,8] c, float[1,8] d) {
        e = MatMul(b, w)
        c = Add(a, e)
        d = Identity(c)
      }>
    }"""
    found = profile(tmp_path, graph)
    assert found.macs == parse("64*T")
    assert profile(tmp_path, graph, Binding(dims={"T": 6})).macs == 6 * 64


def test_an_unknown_operator_is_listed_and_never_makes_a_total_look_exact(tmp_path: Path) -> None:
    graph = """
    g (float[4,8] x, float[8,8] w) => (float[4,8] y) {
      z = MatMul(x, w)
      y = my.domain.Odd(z)
    }"""
    found = profile(tmp_path, graph)
    assert (found.macs, found.exact, found.coverage) == (M, False, 0.5)
    (odd,) = found.unknown
    assert (odd.op, odd.domain, odd.nodes) == ("Odd", "my.domain", 1)
    assert "no rule" in odd.reason


def test_a_node_of_unknown_shape_is_unknown_and_says_which_value(tmp_path: Path) -> None:
    graph = """
    g (float[4,8] x, float[8,8] w) => (float[4,8] y) {
      z = my.domain.Odd(x)
      y = MatMul(z, w)
    }"""
    found = profile(tmp_path, graph)
    assert "'z'" in next(each.reason for each in found.unknown if each.op == "MatMul")


def test_arithmetic_on_constants_is_done_before_the_first_inference(tmp_path: Path) -> None:
    graph = """
    g (float[4,8] x) => (float[4,8] y) <float[8,8] v = {1.0}, float[8,8] w = {2.0}> {
      u = MatMul(v, w)
      y = MatMul(x, u)
    }"""
    text = graph.replace("{1.0}", "{" + ",".join(["1.0"] * 64) + "}")
    text = text.replace("{2.0}", "{" + ",".join(["2.0"] * 64) + "}")
    found = profile(tmp_path, text)
    assert (found.macs, found.exact) == (M, True)
    assert [node.kind for node in found.nodes] == ["constant", "contraction"]


def test_a_standard_operator_without_a_row_is_counted_by_its_function_body(tmp_path: Path) -> None:
    from onnxbench.graph.operators.table import find

    graph = "g (float[4,8] x) => (float[4,8] y) { y = MeanVarianceNormalization <axes=[1]> (x) }"
    assert find("", "MeanVarianceNormalization") is None
    found = profile(tmp_path, graph)
    assert found.exact
    # mean (8+1), x², mean, mean², difference, sqrt, x − mean, + eps, division: all elementwise
    assert found.macs == 0
    assert isinstance(found.flops, int)
    assert found.flops >= 5 * 32
