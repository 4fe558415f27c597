"""Settling a graph: what is found of one node holds for those like it."""

from __future__ import annotations

from tests.graph.shaping import infer_text, shape


def test_nodes_alike_share_what_is_folded_and_others_do_not() -> None:
    graph = infer_text(
        """g (float[2,3,4] a, float[2,3,4] b, float[2,5,4] c)
        => (float[M,N] x, float[O,P] y, float[Q,R] z)
        <int64 one = {1}, int64[1] rest = {-1}, int64[1] zero = {0}> {
            sa = Shape (a)  sb = Shape (b)  sc = Shape (c)
            na = Gather (sa, one)  nb = Gather (sb, one)  nc = Gather (sc, one)
            ua = Unsqueeze (na, zero)  ub = Unsqueeze (nb, zero)  uc = Unsqueeze (nc, zero)
            ta = Concat <axis = 0> (ua, rest)  tb = Concat <axis = 0> (rest, ub)
            tc = Concat <axis = 0> (uc, rest)
            x = Reshape (a, ta)  y = Reshape (b, tb)  z = Reshape (c, tc)
        }"""
    )
    assert (shape(graph, "x"), shape(graph, "y"), shape(graph, "z")) == ([3, 8], [8, 3], [5, 8])
    folded = [graph.value(name) for name in ("sa", "sb", "sc")]
    arrays = [each.value for each in folded if each is not None]
    assert [None if each is None else each.tolist() for each in arrays] == [
        [2, 3, 4],
        [2, 3, 4],
        [2, 5, 4],
    ]
    assert arrays[0] is arrays[1]
