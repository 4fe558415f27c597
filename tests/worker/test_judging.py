"""The gates: what is refused, what is let through, and with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxbench.worker import agreement, judging
from onnxbench.worker.job import Reference

REF = Reference(path="", name="onnxruntime-cpu", dtype="float32", depth=50)


def row(provider: str, nodes: int, time: float | None, **operators: int) -> Any:
    return {
        "provider": provider,
        "nodes": nodes,
        "node_share": 0.0,
        "time_share": time,
        "operators": operators,
    }


def judged(tmp_path: Any, first: Any, *, truth: Any, others: Any = None, **changes: Any) -> Any:
    """Return the judged parity of ``first`` (and ``others``) against ``truth``."""
    path = str(tmp_path / "reference.npz")
    truths = truth if isinstance(truth, tuple) else (truth, truth + 1)
    agreement.save_reference(path, *({"y": np.asarray(each)} for each in truths))
    reference = Reference(path=path, name="onnxruntime-cpu", dtype=changes.pop("dtype", "float32"),
                          depth=changes.pop("depth", 1))  # fmt: skip
    second = truths[1] if others is None else others
    found = agreement.compare_reference(reference, {"y": np.asarray(first)}, {"y": second})
    return judging.judge_parity(
        found, reference, changes.pop("effective", "float32"), changes.pop("asked", "model")
    )


LOGITS = np.linspace(-2, 2, 20, dtype=np.float32).reshape(2, 10)


def test_rounding_passes_and_a_wrong_graph_does_not(tmp_path: Any) -> None:
    assert judged(tmp_path, LOGITS * (1 + 2e-6), truth=LOGITS)["passed"] is True
    wrong = judged(tmp_path, LOGITS + 0.02, truth=LOGITS)
    assert wrong["passed"] is False
    assert wrong["reason"] == (
        "off by 0.01 of the largest value; 0.0001 is allowed for float32 and this depth"
    )
    assert wrong["max_abs"] == pytest.approx(0.02, rel=1e-4)
    assert wrong["scale"] == 3.0, "of both inputs"
    assert wrong["cosine"] < 1


def test_deeper_networks_and_narrower_types_may_be_farther_off() -> None:
    assert judging.tolerance("float32", 100) == pytest.approx(10 * judging.tolerance("float32", 1))
    assert judging.tolerance("bfloat16", 1) > judging.tolerance("float16", 1)
    assert judging.tolerance("int8", 10_000) == judging.LOOSEST


def test_a_native_bfloat16_is_measured_by_its_own_rounding_and_a_model_precision_is_not(
    tmp_path: Any,
) -> None:
    off = LOGITS * (1 + 5e-3)
    native = judged(tmp_path, off, truth=LOGITS, effective="bfloat16", asked="native")
    assert native["passed"] is True
    assert judged(tmp_path, off, truth=LOGITS, effective="bfloat16")["passed"] is False


def test_a_runtime_that_ignores_its_input_is_caught(tmp_path: Any) -> None:
    truths = (LOGITS, LOGITS * (1 + 1e-5))  # so near that the tolerance alone would not tell
    ignored = judged(tmp_path, LOGITS, truth=truths, others=LOGITS)
    assert ignored["passed"] is False
    assert ignored["input_sensitive"] is False
    assert "do not follow the inputs" in ignored["reason"]
    constant = judged(tmp_path, LOGITS, truth=(LOGITS, LOGITS), others=LOGITS)
    assert (constant["passed"], constant["input_sensitive"]) == (True, None)


def test_noise_on_one_answer_is_no_reading_of_inputs_however_wide_the_tolerance(
    tmp_path: Any,
) -> None:
    truths = (LOGITS, LOGITS + 0.04 * np.sin(np.arange(20, dtype=np.float32)).reshape(2, 10))
    same = {"effective": "int8", "dtype": "int8", "depth": 50}
    ignored = judged(tmp_path, LOGITS, truth=truths, others=LOGITS + 1e-6, **same)
    assert (ignored["passed"], ignored["input_sensitive"]) == (False, False)
    noisy = judged(tmp_path, LOGITS + 0.01, truth=truths, others=truths[1] - 0.01, **same)
    assert (noisy["passed"], noisy["input_sensitive"]) == (True, True)


def test_a_response_below_the_rounding_is_neither_followed_nor_ignored(tmp_path: Any) -> None:
    """Deep networks with random weights hardly move; bfloat16 rounds more than that."""
    rounding = 2e-3 * np.random.default_rng(0).standard_normal((2, 2, 10))
    truths = (LOGITS, LOGITS + 1e-4)
    found = judged(
        tmp_path, LOGITS + rounding[0], truth=truths, others=truths[1] + rounding[1],
        effective="bfloat16", asked="native",
    )  # fmt: skip
    assert (found["passed"], found["input_sensitive"]) == (True, None)


def test_a_small_channel_beside_a_large_one_is_compared_by_itself(tmp_path: Any) -> None:
    """A detector's output: four rows of boxes in pixels, then scores."""
    generator = np.random.default_rng(0)
    truth = generator.uniform(0, 1, (1, 12, 100))
    truth[:, :4] *= 640
    off = truth.copy()
    off[:, 4:] += generator.uniform(-0.04, 0.04, (1, 8, 100))
    found = judged(tmp_path, off, truth=truth)
    assert found["max_rel"] < found["tolerance"], "within the tolerance of the boxes"
    assert found["passed"] is False
    assert "largest value of one channel" in found["reason"]
    moved = np.moveaxis(truth, 1, 2)
    assert judged(tmp_path, np.moveaxis(off, 1, 2), truth=moved)["passed"] is False
    assert judged(tmp_path, truth * (1 + 1e-5), truth=truth)["passed"] is True


def test_where_nothing_is_finite_nothing_is_compared(tmp_path: Any) -> None:
    nothing = np.full((1, 4), np.nan, np.float32)
    found = judged(tmp_path, nothing, truth=nothing)
    assert (found["passed"], found["reason"]) == (
        None,
        "not compared: no output has a finite value",
    )
    assert (found["max_abs"], found["max_rel"], found["top1_agree"]) == (None, None, None)
    empty = np.zeros((0, 4), np.float32)
    assert judged(tmp_path, empty, truth=empty)["passed"] is None


def test_the_imaginary_part_counts(tmp_path: Any) -> None:
    truth = np.array([[1 + 1j, 2 - 1j]], np.complex64)
    assert judged(tmp_path, truth, truth=truth)["passed"] is True
    assert judged(tmp_path, truth.conj(), truth=truth)["passed"] is False


def test_wrong_answers_for_the_second_input_alone_are_caught(tmp_path: Any) -> None:
    assert judged(tmp_path, LOGITS, truth=LOGITS, others=LOGITS * 3)["passed"] is False


@pytest.mark.parametrize(
    ("out", "says"),
    [
        (np.where(LOGITS > 1.9, np.nan, LOGITS), "1 of 20 elements are not finite alike"),
        (LOGITS[:1], "of shape [1, 10], the reference's is [2, 10]"),
        (LOGITS.astype(np.int64), "elements differ"),
    ],
)
def test_what_cannot_be_compared_fails_in_words(tmp_path: Any, out: Any, says: str) -> None:
    found = judged(tmp_path, out, truth=LOGITS)
    assert found["passed"] is False
    assert says in found["reason"]


def test_bfloat16_is_compared_as_numbers_though_it_travels_as_bits(tmp_path: Any) -> None:
    path = str(tmp_path / "reference.npz")
    bits = (LOGITS.view(np.uint32) >> 16).astype(np.uint16)
    agreement.save_reference(path, {"y": bits})
    reference = Reference(path=path, name="onnxruntime-cpu", dtype="bfloat16", depth=1)
    near = {"y": bits ^ 1}  # the last bit of each value
    found = agreement.compare_reference(reference, near, types={"y": "bfloat16"})
    assert judging.judge_parity(found, reference, "bfloat16", "model")["passed"] is True
    far = {"y": bits ^ 64}
    found = agreement.compare_reference(reference, far, types={"y": "bfloat16"})
    assert judging.judge_parity(found, reference, "bfloat16", "model")["passed"] is False


def test_nan_where_the_reference_has_it_is_right(tmp_path: Any) -> None:
    truth = np.where(LOGITS > 1.9, np.nan, LOGITS)
    assert judged(tmp_path, truth.copy(), truth=truth)["passed"] is True


def test_the_winner_may_change_only_between_near_ties(tmp_path: Any) -> None:
    truth = np.array([[1.0, 0.9995, 0.0]], np.float32)
    swapped = np.array([[0.9995, 1.0, 0.0]], np.float32)
    assert judged(tmp_path, swapped, truth=truth, dtype="bfloat16")["top1_agree"] == 1.0
    other = np.array([[0.0, 0.0, 1.0]], np.float32)
    assert judged(tmp_path, other, truth=truth)["top1_agree"] == 0.0


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("float32", "float32"),
        ("float32 (float16 storage)", "float16"),
        ("bfloat16", "bfloat16"),
        ("tf32", "tf32"),
        ("fp16", "float16"),
        ("uint8", "int8"),
        ("float8e4m3fn", "float8"),
        ("int64", None),
        ("whatever", None),
        (None, None),
    ],
)
def test_the_narrowest_type_of_a_text(text: str | None, type_: str | None) -> None:
    assert judging.narrowest(text) == type_


def test_every_node_has_to_be_on_the_provider_that_was_asked_for() -> None:
    cuda, cpu = row("CUDA", 120, 0.97, Conv=53), row("CPU", 2, 0.03, Gather=1, Shape=1)
    assert judging.placement_fault([cuda], "CUDA") is None
    assert judging.placement_fault([cuda, cpu], "") is None
    status, error = judging.placement_fault([cuda, cpu], "CUDA") or ("ok", None)
    assert status == "fallback"
    assert error is not None
    assert error["message"] == "CUDA took 120 of 122 nodes; CPU took 2: Gather ×1, Shape ×1"
    status, error = judging.placement_fault([cpu], "CUDA") or ("ok", None)
    assert status == "provider-missing"
    assert error is not None
    assert error["message"].startswith("CUDA took 0 of 2 nodes")
    folded = [row("CUDA", 0, 1.0)]
    assert judging.placement_fault(folded, "CUDA") is None, "of a graph that was folded away"
    status, error = judging.placement_fault([], "CUDA") or ("ok", None)
    assert status == "provider-missing"
    assert error is not None
    assert error["kind"] == "no-placement"


def test_time_on_another_provider_is_a_fallback_even_where_nodes_say_otherwise() -> None:
    assert judging.placement_fault([row("CUDA", 5, 0.5), row("CPU", 0, 0.5)], "CUDA") is not None


def test_a_lowered_precision_is_refused_unless_it_was_asked_for() -> None:
    status, error = judging.precision_fault("bfloat16", "float32", "model") or ("ok", None)
    assert status == "wrong-output"
    assert error is not None
    assert error["kind"] == "precision-lowered"
    assert judging.precision_fault("bfloat16", "float32", "native") is None
    assert judging.precision_fault("float32", "float16", "model") is None, "wider is allowed"
    assert judging.precision_fault(None, "float32", "model") is None


def test_a_part_in_less_than_any_type_of_the_graph_is_refused_too() -> None:
    partly = "float32 with 12 % bfloat16"
    assert judging.precision_fault(partly, "float32", "model", "float32") is not None
    assert judging.precision_fault(partly, "float32", "native", "float32") is None
    assert judging.precision_fault("float32 with 9 % int8", "float32", "model", "int8") is None
    assert judging.precision_fault("int8 with 9 % float32", "int8", "model", "int8") is None
    mostly = judging.precision_fault("int8 with 9 % float32", "float32", "model", "int8")
    assert mostly is not None, "the graph declares int8 for a small part alone"
