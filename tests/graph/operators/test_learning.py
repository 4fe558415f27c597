"""Linear models, support vectors, trees (ai.onnx.ml), and mixed residual streams."""

from __future__ import annotations

import pytest

from onnxbench.graph.formulas import parse
from onnxbench.graph.network import Unknown
from tests.graph.operators.nodes import cost

ML = {"domain": "ai.onnx.ml"}
MS = {"domain": "com.microsoft"}


def test_a_linear_classifier_multiplies_every_feature_by_every_class() -> None:
    options = {"coefficients": [0.5] * 30, "intercepts": [0.1] * 3, "post_transform": "SOFTMAX"}
    found = cost("LinearClassifier", ("B", 10), out=("B",), **options, **ML)
    assert found.macs == parse("30*B")
    assert (found.flops, found.transcendentals) == (parse("3*B + 15*B"), parse("3*B"))


def test_a_linear_regressor_may_have_no_intercept() -> None:
    found = cost("LinearRegressor", (7, 10), out=(7, 1), coefficients=[0.5] * 10, **ML)
    assert (found.macs, found.flops) == (70, 0)


@pytest.mark.parametrize(
    ("kernel", "macs", "flops", "evaluations"),
    [
        ("LINEAR", 44, 0, 0),
        ("RBF", 44, 4 * 2 + 40, 4),
        ("POLY", 44, 12, 4),
    ],
)
def test_a_support_vector_machine_meets_every_support_vector(
    kernel: str, macs: int, flops: int, evaluations: int
) -> None:
    # 4 vectors of 10 features, one coefficient each; 3 samples.
    options = {"support_vectors": [0.5] * 40, "coefficients": [0.5] * 4, "kernel_type": kernel}
    found = cost("SVMRegressor", (3, 10), out=(3, 1), **options, **ML)
    assert (found.macs, found.flops, found.transcendentals) == (
        3 * macs, 3 * flops, 3 * evaluations,
    )  # fmt: skip


def test_without_support_vectors_it_is_linear() -> None:
    assert cost("SVMRegressor", (3, 10), out=(3, 1), coefficients=[0.5] * 10, **ML).macs == 30


def test_names_that_the_standard_does_not_know_are_unknown() -> None:
    options = {"support_vectors": [0.5] * 40, "kernel_type": "CAUCHY"}
    with pytest.raises(Unknown, match="CAUCHY"):
        cost("SVMRegressor", (3, 10), out=(3, 1), **options, **ML)
    with pytest.raises(Unknown, match="TANH"):
        cost("LinearRegressor", (3, 10), out=(3, 1), post_transform="TANH", **ML)


def test_trees_only_compare() -> None:
    found = cost("TreeEnsemble", (3, 10), out=(3, 1), **ML)
    assert (found.macs, found.flops) == (0, 0)
    assert "not counted" in found.note


def test_scaling_and_normalizing_features() -> None:
    assert cost("Scaler", (3, 10), out=(3, 10), **ML).flops == 60
    assert cost("Normalizer", (3, 10), out=(3, 10), **ML).flops == 90


def test_hyper_connections_mix_streams() -> None:
    streams = (2, 5, 4, 16)
    pre = cost("HyperConnectionPreMix", streams, (2, 5, 4), out=(2, 5, 16), **MS)
    assert pre.flops == 2 * 640
    post = cost(
        "HyperConnectionPostMix", streams, (2, 5, 16), (2, 5, 4), (2, 5, 4, 4), out=streams, **MS
    )
    assert (post.macs, post.flops) == (640 * 4, 640 * 2)
    kept = cost("HyperConnectionPostMix", streams, (2, 5, 16), (2, 5, 4), out=streams, **MS)
    assert kept.macs == 0
