"""The summary of a profile, for people."""

from __future__ import annotations

import pytest

from onnxbench.graph.profile import KvCache, Memory, Signature
from onnxbench.report import format as fmt
from onnxbench.report.analysis_summary import headline, summary_markdown, summary_text
from onnxbench.report.analysis_views import Analysis
from tests.report.profiles import B, S, node, parameters, profile, relu, unknown

HOSTILE = "\x1b[31m\u202eevil|`<b>\n"


def line(text: str, label: str) -> str:
    """Return what stands behind a label, its continuation lines included."""
    found: list[str] = []
    for each in text.splitlines():
        if each.startswith(label):
            found.append(each.removeprefix(label).strip())
        elif found and each.startswith(" "):
            found.append(each.strip())
        elif found:
            break
    return " ".join(found)


def test_three_totals_stand_apart_with_unit_prefix_and_exact_value() -> None:
    big = node("c", macs=4_089_184_256, macs_least=4_089_184_256, transcendentals=1000)
    text = summary_text(profile(big, relu("r")), 80)
    assert line(text, "MACs") == "4.089 G (4,089,184,256)"
    assert line(text, "FLOPs").startswith("2.128 k (2,128)")
    assert line(text, "transcendentals") == "1.000 k (1,000)"
    assert line(text, "counted") == "all 2 nodes, exactly"
    assert line(text, "precision") == "all MACs in fp32"
    assert line(text, "traffic") == "600 B read, 400 B written by the nodes: 2.13 FLOPs per byte"
    assert "4.00 KiB" in line(text, "peak memory") or "2.00 KiB" in line(text, "peak memory")


@pytest.mark.parametrize("size", [8, 1, None])
def test_the_figure_of_one_sample_stands_beside_that_of_a_batch(size: int | None) -> None:
    inputs = (Signature("mask", "bool", (5,)), Signature("x", "fp32", (size, 3)))
    text = line(
        summary_text(profile(node("c", macs=8000, macs_least=8000), inputs=inputs), 80), "MACs"
    )
    per_sample = "for batch 8, 1.000 k per sample" in text
    assert per_sample == (size == 8)


def test_a_formula_is_written_for_people_and_says_how_to_bind_it() -> None:
    macs = 18432 * B * S * S + 123532032 * B * S
    inputs = (Signature("ids", "int64", (B, S)),)
    memory = Memory(None, None, None, None, None, "B, S are open")
    found = profile(node("c"), macs=macs, macs_least=macs, inputs=inputs, symbols=("B", "S"),
                    memory=memory)  # fmt: skip
    text = summary_text(found, 80)
    assert line(text, "MACs") == "18432·B·S² + 123532032·B·S"
    assert line(text, "open dims") == "B, S: bind with --batch N or --dim B=N for numbers"
    assert line(text, "peak memory") == "- (B, S are open)"
    assert line(text, "input") == "ids BxS int64"


def test_an_unknown_operator_makes_every_total_a_lower_bound_and_is_listed() -> None:
    text = summary_text(profile(node("c"), unknown("u")), 80)
    for label in ("MACs", "FLOPs", "transcendentals"):
        assert line(text, label).startswith("≥ "), label
    assert "NOT counted" in line(text, "counted")
    assert line(text, "not counted") == "com.example::Mystery × 1: no rule (u)"


def test_bounds_are_shown_as_a_range_with_the_node_that_makes_them() -> None:
    loop = node("l", "Loop", macs=9000, macs_least=0, status="bounded", reason="at most 9 times")
    text = summary_text(profile(node("c"), loop), 80)
    assert line(text, "MACs") == "1.000 k (1,000) to 10.000 k (10,000)"
    assert line(text, "bounded") == "l (Loop): at most 9 times"
    assert "≥" not in text
    both = summary_text(profile(node("c"), loop, unknown("u")), 80)
    assert line(both, "MACs") == "≥ 1.000 k (1,000)"


def test_another_convention_is_named() -> None:
    text = summary_text(profile(node("c"), convention="fvcore"), 80)
    assert line(text, "MACs (fvcore)") == "1.000 k (1,000)"
    assert "of the pure convention" in text


def test_precisions_cache_and_constants_have_their_lines() -> None:
    found = profile(
        node("c"),
        macs_by_precision={"int8": 900, "fp32": 100, "fp16": 0},
        kv_cache=KvCache(36864, 12),
        parameters=parameters(params=124_000_000, buffers=7, dead=3, tied=1, weight_bytes=1 << 20,
                              dead_bytes=12, by_dtype={"fp32": 100_000_000, "int8": 24_000_000}),
    )  # fmt: skip
    text = summary_text(found, 100)
    assert line(text, "precision") == "int8 900 · fp32 100"
    assert line(text, "KV cache") == "36.0 KiB per token over 12 layers"
    assert line(text, "parameters") == (
        "124.000 M (124,000,000) · buffers 7 · used by nothing 3 · weights used more than once 1"
    )
    assert line(text, "weights") == (
        "1.00 MiB · used by nothing 12 B · fp32 100.000 M · int8 24.000 M"
    )


def test_the_hash_is_whole_in_80_columns() -> None:
    assert line(summary_text(profile(node("c")), 80, "a" * 64), "sha256") == "a" * 64


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    macs = 123_456_789 * B * S + 987_654_321 * B + 5
    text = summary_text(profile(node("c" * 300), unknown("u" * 300), macs=macs), width)
    assert max(map(len, text.splitlines())) <= max(width, 40)


def test_foreign_text_is_cleaned_everywhere() -> None:
    evil = unknown(HOSTILE, HOSTILE, HOSTILE)._replace(reason=HOSTILE, module=(HOSTILE,))
    found = profile(
        evil,
        node(HOSTILE, HOSTILE, status="bounded", reason=HOSTILE, where=HOSTILE),
        path=f"/models/{HOSTILE}.onnx",
        producer=HOSTILE,
        opset={HOSTILE: 1},
        inputs=(Signature(HOSTILE, HOSTILE, (B,)),),
        symbols=(HOSTILE,),
        memory=Memory(1, 1, 1, 1, HOSTILE),
        notes=(HOSTILE,),
    )
    for view in (None, "nodes", "op", "module"):
        for form in ("text", "markdown", "csv", "json"):
            text = Analysis(found, view).render(form)
            assert "\x1b" not in text, (view, form)
            assert "\u202e" not in text, (view, form)
            if form == "markdown":
                assert "<b>" not in text.replace("`", " `").partition("`")[0]


def test_the_headline_names_file_nodes_opsets_and_producer() -> None:
    assert headline(profile(node("c"))) == "net.onnx · 1 node · opset 17 · pytorch 2.13"


def test_markdown_is_one_table() -> None:
    text = summary_markdown(profile(node("c"), unknown("u")))
    rows = [each for each in text.splitlines() if each.startswith("|")]
    assert rows[1] == "|---|---|"
    assert "| MACs | `≥ 1.000 k (1,000)` |" in rows


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.000 k"), (4_089_184_256, "4.089 G"), (0.5, "0.500"),
     (999_999_999, "1.000 G"), (999_999, "999.999 k"), (1.5e15, "1500.000 T")],
)  # fmt: skip
def test_decimal_units(count: float, text: str) -> None:
    assert fmt.decimal(count) == text
