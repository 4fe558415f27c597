"""Which cells a request makes, what it skips or refuses, and when two plans are the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbench import plan as planning
from onnxbench.errors import UsageError
from onnxbench.plan import MAX_CELLS, Candidate, Choice, Plan, make_plan
from onnxbench.sweep import Setting, Sweep
from onnxbench.types import (
    Artifact,
    ArtifactFile,
    Capability,
    ChildResult,
    Device,
    ErrorDoc,
    ExpectedOutput,
    GivenTensor,
    Limits,
    ModelSpec,
    Origin,
    Sampling,
    Status,
    TensorSpec,
)
from onnxbench.workload import Ask

DEVICE = Device("cpu", "Test CPU", "x86_64")


def result(status: Status = "ok", error: ErrorDoc | None = None) -> ChildResult:
    return ChildResult(status, error, None, b"", 0, 0, None, "", "2026-11-22T00:00:00+00:00")


def candidate(
    name: str = "m", batch: int | str | None = "N", model_bytes: int = 1000, **changes: object
) -> Candidate:
    file = ArtifactFile(f"/models/{name}.onnx", "model", model_bytes, 1, 1)
    inputs = (TensorSpec("x", "float", (batch, "width")),)
    artifact = Artifact(name * 64, (file,), 10, {"": 17}, "test", inputs, (), {}, 1, 0)
    made = Candidate(ModelSpec(name, f"file:/models/{name}.onnx"), artifact, result())
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def refused(name: str = "bad") -> Candidate:
    error: ErrorDoc = {"kind": "text", "message": "text", "hint": "h", "phase": "preflight"}
    return candidate(name, artifact=None, preflight=result("refused-input", error))


def choice(name: str = "cpu", *, available: bool = True, version: str = "1.0") -> Choice:
    capability = Capability(name, available, version, "package", "why not", "what to type")
    return Choice(name, f"{name}:ADAPTER", capability, build=f"package {version}")


def make(*candidates: Candidate, **changes: object) -> Plan:
    options: dict[str, object] = {
        "choices": [choice()],
        "sweep": Sweep(),
        "ask": Ask(dims={"width": 4}),
        "device": DEVICE,
        "sampling": Sampling(),
        "limits": Limits(),
    } | changes
    choices, sweep, ask = (options.pop(name) for name in ("choices", "sweep", "ask"))
    return make_plan(candidates or [candidate()], choices, sweep, ask, **options)  # type: ignore[arg-type]


def test_axes_are_crossed() -> None:
    sweep = Sweep(
        (1, 8), (1, 2), ("host", "device"), labels=("a", "b"), options=(Setting("k", ("v",)),)
    )
    plan = make(
        candidate("m"), candidate("n"), choices=[choice("cpu"), choice("other")], sweep=sweep
    )
    cells = [planned.cell for planned in plan.cells]
    assert len(cells) == len({cell.cell_id for cell in cells}) == 64
    assert {cell.options["k"] for cell in cells} == {"v"}
    assert {p.runtime_build for p in plan.cells} == {"package 1.0"}
    assert {p.adapter for p in plan.cells} == {"cpu:ADAPTER", "other:ADAPTER"}


def test_an_option_that_chooses_a_device_decides_the_cell_s() -> None:
    unit = Device("npu", "unnamed NPU", "unknown")

    def device(options: Mapping[str, str]) -> Device | None:
        return unit if options["on"] == "npu" else None

    several = dataclasses.replace(choice(), device=device)
    sweep = Sweep(options=(Setting("on", ("cpu", "npu")),))
    assert [each.cell.device for each in make(choices=[several], sweep=sweep).cells] == [
        DEVICE,
        unit,
    ]
    [first] = make(
        refused(), choices=[several], sweep=Sweep(options=(Setting("on", ("npu",)),))
    ).refused
    assert first.cell.device == unit


def test_only_what_runs_the_source_is_told_of_it_and_a_file_is_refused() -> None:
    origin = Origin("package:Exporter", ("torch",), {"seed": 0})
    several = dataclasses.replace(
        choice(),
        worker="plain",
        wants_origin=lambda options: options["module"] == "source",
        source_worker=lambda origin: f"with {origin.exporter}",
    )
    sweep = Sweep(options=(Setting("module", ("file", "source")),))
    plan = make(candidate("m", origin=origin), candidate("n"), choices=[several], sweep=sweep)
    told = [(each.cell.model_id, each.origin, each.worker) for each in plan.cells]
    assert told == [
        ("m", None, "plain"),
        ("m", origin, "with package:Exporter"),
        ("n", None, "plain"),
    ]
    (skip,) = plan.skips
    assert (skip.model_id, skip.status) == ("n", "unsupported")
    assert "this is a file" in skip.reason
    assert skip.hint
    other = dataclasses.replace(origin, request={"seed": 1})
    plans = [
        make(candidate(origin=each), choices=[several], sweep=sweep) for each in (origin, other)
    ]
    assert len({each.key("host") for each in plans}) == 2


def test_a_fixed_batch_is_kept_or_skipped() -> None:
    plan = make(candidate(batch=8), candidate("n"), sweep=Sweep((1, 8)))
    assert [(p.cell.model_id, p.cell.batch) for p in plan.cells] == [("m", 8), ("n", 1), ("n", 8)]
    (skip,) = plan.skips
    document = skip.document()
    assert (document["model"], document["batch"], document["status"]) == ("m", 1, "unsupported")
    assert document["hint"]


def test_a_refused_model_costs_one_row_per_runtime() -> None:
    plan = make(refused(), candidate(), choices=[choice("a"), choice("b")], sweep=Sweep((1, 2)))
    assert len(plan.cells) == 4
    assert [(r.cell.model_id, r.cell.runtime) for r in plan.refused] == [("bad", "a"), ("bad", "b")]
    assert {r.cell.sha256 for r in plan.refused} == {None}


def test_a_missing_runtime_is_a_skip_with_its_reason() -> None:
    plan = make(choices=[choice(available=False)])
    assert plan.cells == ()
    (skip,) = plan.skips
    assert (skip.status, skip.reason, skip.hint) == ("provider-missing", "why not", "what to type")


@pytest.mark.parametrize(
    ("ask", "near"),
    [
        (Ask(dims={"widht": 4}), "width"),
        (Ask(shapes={"xx": (1, 2)}), "x"),
        (Ask(dims={"zebra": 4}), ""),
    ],
)
def test_a_name_that_no_model_has_is_told(ask: Ask, near: str) -> None:
    with pytest.raises(UsageError, match="no model has that") as caught:
        make(ask=ask)
    assert near in caught.value.hint
    assert "there is" in caught.value.message


def test_an_input_that_no_model_has_is_told() -> None:
    tensor = GivenTensor("y", "float", (1, 4), "/f.npz", "y", "0" * 64)
    with pytest.raises(UsageError, match="--inputs y: no model has that"):
        make(candidate(given=(tensor,)))
    # Another model of the run may have it.
    other = candidate("n")
    assert other.artifact is not None
    inputs = (TensorSpec("y", "float", (1, 4)),)
    artifact = dataclasses.replace(other.artifact, inputs=inputs)
    plan = make(
        candidate(given=(tensor,)), dataclasses.replace(other, artifact=artifact, given=(tensor,))
    )
    assert [p.workload.inputs[0].kind for p in plan.cells] == ["uniform", "file"]


def test_names_are_not_checked_when_every_model_was_refused() -> None:
    assert make(refused(), ask=Ask(dims={"zebra": 1})).cells == ()


@pytest.mark.parametrize(
    ("candidates", "sweep"),
    [
        ([candidate(), candidate()], Sweep()),
        ([candidate()], Sweep(batches=(None, 1))),
        ([candidate()], Sweep(threads=(2, 2))),
    ],
)
def test_the_same_cell_twice_is_refused(candidates: list[Candidate], sweep: Sweep) -> None:
    with pytest.raises(UsageError, match="the same cell twice") as caught:
        make(*candidates, sweep=sweep)
    assert "--label" in caught.value.hint


def test_too_many_cells_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(planning, "_cross")
    sweep = Sweep(batches=tuple(range(1, 1001)), threads=tuple(range(1, 12)))
    with pytest.raises(UsageError, match=f"more than {MAX_CELLS}"):
        make(sweep=sweep)


def test_expected_outputs_only_with_parity() -> None:
    expected = (ExpectedOutput("y", "/f.npz", "y"),)
    with_them = candidate(expected=expected)
    assert make(with_them).cells[0].workload.expected == expected
    assert make(with_them, parity=False).cells[0].workload.expected == ()


def test_the_catalogue_declares_the_range_of_inputs() -> None:
    spec = ModelSpec("m", "file:/models/m.onnx", input_range=(0.0, 255.0))
    (planned,) = make(candidate(spec=spec)).cells
    assert (planned.workload.inputs[0].low, planned.workload.inputs[0].high) == (0.0, 255.0)


def test_a_large_model_gets_time_to_be_read() -> None:
    small, large = make(candidate(), candidate("n", model_bytes=2_000_000_000)).cells
    assert large.limits.build_s >= small.limits.build_s + 99
    assert large.limits.run_s == small.limits.run_s


def test_counts_and_estimate() -> None:
    plan = make(
        sweep=Sweep((1, 2)), sampling=Sampling(processes_min=3, processes_max=7), op_times=True
    )
    assert plan.processes == 2 * (1 + 7 + 1)
    assert plan.estimate_s > 2 * 3 * (plan.sampling.warmup_s + plan.sampling.min_time_s)


SAME: list[Mapping[str, object]] = [{}, {"limits": Limits(memory_bytes=5)}]
OTHER: list[Mapping[str, object]] = [
    {"sweep": Sweep((2,))},
    {"sweep": Sweep(threads=(2,))},
    {"sweep": Sweep(boundaries=("device",))},
    {"sweep": Sweep(precisions=("native",))},
    {"sweep": Sweep(labels=("a",))},
    {"sweep": Sweep(options=(Setting("k", ("v",)),))},
    {"ask": Ask(dims={"width": 5})},
    {"ask": Ask(dims={"width": 4}, seed=1)},
    {"sampling": Sampling(iterations=5)},
    {"limits": Limits(run_s=1.0)},
    {"limits": Limits(build_s=1.0)},
    {"choices": [choice(version="2.0")]},
    {"choices": [choice("other")]},
    {"device": Device("cpu", "Other CPU", "x86_64")},
    {"op_times": True},
    {"parity": False},
]


@pytest.mark.parametrize("changes", SAME, ids=str)
def test_the_key_stays(changes: Mapping[str, object]) -> None:
    assert make(**changes).key("host") == make().key("host")


@pytest.mark.parametrize("changes", OTHER, ids=str)
def test_the_key_changes(changes: Mapping[str, object]) -> None:
    assert make(**changes).key("host") != make().key("host")


def test_the_key_knows_host_version_model_and_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        make().key("host"),
        make().key("other host"),
        make(candidate("n")).key("host"),
        make(candidate(expected=(ExpectedOutput("y", "/tmp/1/f.npz", "y"),))).key("host"),
    }
    monkeypatch.setattr(planning, "__version__", "9")
    keys.add(make().key("host"))
    assert len(keys) == 5


def test_the_key_does_not_depend_on_the_order_of_models() -> None:
    one, two = candidate("m"), candidate("n")
    assert make(one, two).key("host") == make(two, one).key("host")


def test_a_moved_model_is_the_same_plan() -> None:
    moved = candidate()
    assert moved.artifact is not None
    file = ArtifactFile("/elsewhere/m.onnx", "model", 1000, 2, 2)
    moved = dataclasses.replace(moved, artifact=dataclasses.replace(moved.artifact, files=(file,)))
    assert make(moved).key("host") == make().key("host")


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True).map(tuple),
    st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True).map(tuple),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True).map(tuple),
    st.sampled_from([1, 2, "N", None]),
)
def test_nothing_that_was_asked_for_disappears(
    batches: tuple[int, ...],
    threads: tuple[int, ...],
    labels: tuple[str, ...],
    batch: int | str | None,
) -> None:
    """Every combination is a cell, or its batch is among the skips."""
    plan = make(candidate(batch=batch), sweep=Sweep(batches, threads, labels=labels))
    found = {(p.cell.batch, p.cell.threads, p.cell.label) for p in plan.cells}
    skipped = {skip.document()["batch"] for skip in plan.skips}
    assert len(found) == len(plan.cells)
    for size in batches:
        assert (size in skipped) != all(
            (size, t, name) in found for t in threads for name in labels
        )
    assert len(plan.cells) + len(skipped) * len(threads) * len(labels) == (
        len(batches) * len(threads) * len(labels)
    )


def test_options_shapes_and_precisions_are_crossed() -> None:
    sweep = Sweep(
        precisions=("model", "native"),
        options=(Setting("level", ("all", "none")), Setting("streams", ("1", "2"), "b")),
        shapes={"x": ((1, 4), (2, 4), (2, 6))},
    )
    plan = make(choices=[choice("a"), choice("b")], sweep=sweep, ask=Ask())
    cells = [planned.cell for planned in plan.cells]
    assert len({cell.cell_id for cell in cells}) == len(cells) == 3 * 2 * 2 + 3 * 2 * 4
    assert {tuple(cell.options) for cell in cells if cell.runtime == "a"} == {("level",)}
    assert {cell.options["streams"] for cell in cells if cell.runtime == "b"} == {"1", "2"}
    assert {(cell.shapes["x"], cell.precision) for cell in cells} == {
        (shape, precision) for shape in sweep.shapes["x"] for precision in sweep.precisions
    }


def test_what_is_set_for_one_runtime_goes_before_what_is_set_for_all() -> None:
    options = (Setting("k", ("1", "2")), Setting("k", ("3",), "b"))
    plan = make(choices=[choice("a"), choice("b")], sweep=Sweep(options=options))
    found = [(p.cell.runtime, p.cell.options["k"]) for p in plan.cells]
    assert found == [("a", "1"), ("a", "2"), ("b", "3")]


def test_dims_are_swept_and_named_like_those_of_an_ask() -> None:
    plan = make(sweep=Sweep(dims={"width": (4, 8, 16)}), ask=Ask())
    assert [p.cell.shapes["x"] for p in plan.cells] == [(1, 4), (1, 8), (1, 16)]
    with pytest.raises(UsageError, match="no model has that"):
        make(sweep=Sweep(dims={"widht": (4,)}), ask=Ask())


def test_what_a_model_cannot_do_is_a_skip_for_each_cell_and_the_rest_stays() -> None:
    sweep = Sweep((1, 8), threads=(1, 2), precisions=("model", "float16"))
    plan = make(candidate(batch=8), sweep=sweep)
    assert [(p.cell.batch, p.cell.precision, p.cell.threads) for p in plan.cells] == [
        (8, "model", 1),
        (8, "model", 2),
    ]
    documents = [skip.document()["cell"] for skip in plan.skips]
    assert [(d["batch"], d["precision"], d["threads"]) for d in documents] == [
        (1, "model", 1),
        (1, "model", 2),
        (1, "float16", 1),
        (1, "float16", 2),
        (8, "float16", 1),
        (8, "float16", 2),
    ]
    assert {d["model"]["sha256"] for d in documents} == {plan.cells[0].cell.sha256}


def test_an_allowed_fallback_is_part_of_the_plan() -> None:
    allowed = make(sweep=Sweep(allow_fallback=True))
    assert [p.allow_fallback for p in allowed.cells] == [True]
    assert allowed.key("host") != make().key("host")


def test_a_sweep_of_options_counts_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(planning, "_cross")
    numbers = tuple(map(str, range(1000)))
    options = tuple(Setting(key, numbers) for key in "abcdefgh")
    with pytest.raises(UsageError, match=f"more than {MAX_CELLS}"):
        make(sweep=Sweep(options=options))
