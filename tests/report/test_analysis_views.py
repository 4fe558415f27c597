"""Rows of nodes, operators and modules in every format."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from onnxbench.graph.formulas import evaluate, parse
from onnxbench.report.analysis import batch, intensity, sheet
from onnxbench.report.analysis_table import ROWS, sheet_text
from onnxbench.report.analysis_views import Analysis
from tests.report.profiles import B, S, node, profile, relu, unknown

if TYPE_CHECKING:
    from onnxbench.graph.profile import GraphProfile
    from onnxbench.report.analysis import View
    from onnxbench.report.analysis_views import Format

NODE_KEYS = {
    "name", "op", "domain", "macs", "flops", "params", "bytes_read", "bytes_written", "status"
}  # fmt: skip
TOTAL_KEYS = {
    "macs", "flops", "transcendentals", "params", "buffers", "weight_bytes",
    "peak_activation_bytes", "exact", "unknown", "formulas",
}  # fmt: skip


def document(found: GraphProfile, view: View | None = None) -> Any:
    return json.loads(Analysis(found, view).render("json"))


def table(found: GraphProfile, view: View | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Analysis(found, view).render("csv"))))


@pytest.fixture
def net() -> GraphProfile:
    return profile(
        node("c1", module=("stem",)),
        relu("r1", module=("stem",)),
        node("c2", module=("body", "0"), macs=3000, macs_least=3000),
        unknown("u", "Mystery")._replace(module=("body", "1")),
        node("g", "Gemm", macs=500, macs_least=500),
    )


@pytest.fixture
def symbolic() -> GraphProfile:
    macs = 16 * B * S * S
    mm = node("mm", "MatMul", macs=macs, macs_least=macs, flops=2 * macs, bytes_read=4 * B * S,
              shapes_out=((B, S, None), None))  # fmt: skip
    return profile(mm, relu("r"), macs=macs, flops=2 * macs + 128, symbols=("B", "S"))


def test_json_has_the_promised_keys(net: GraphProfile) -> None:
    found = document(net, "nodes")
    assert set(found) >= TOTAL_KEYS
    assert all(set(each) >= NODE_KEYS for each in found["nodes"])
    assert (found["macs"], found["params"], found["exact"]) == (4500, 30, False)
    assert found["peak_activation_bytes"] == net.memory.liveness_bytes
    assert [each["op"] for each in found["unknown"]] == ["Mystery"]
    assert found["nodes"][3]["macs"] is None
    assert found["nodes"][3]["status"] == "unknown"
    assert found["nodes"][3]["reason"] == "no rule"
    assert found["artifact"] is None
    assert "--hash" in found["artifact_reason"]
    assert "nodes" not in document(net)


def test_json_gives_null_a_formula_and_a_reason(symbolic: GraphProfile) -> None:
    found = document(symbolic, "nodes")
    assert found["macs"] is None
    assert found["reason"] == "depends on B, S"
    assert evaluate(parse(found["formulas"]["macs"]), {"B": 2, "S": 10}) == 3200
    first = found["nodes"][0]
    assert (first["macs"], first["formulas"]["macs"]) == (None, "16*B*S**2")
    assert first["shapes_out"] == [["B", "S", None], None]
    assert "formulas" not in found["nodes"][1]
    assert found["intensity_flops_per_byte"] is None
    assert found["intensity_reason"] == "depends on B, S"


def test_the_batch_is_that_of_the_first_matrix() -> None:
    found = profile(node("c"))
    assert batch(found.inputs) == 1
    assert document(found)["per_sample"] == {"macs": 1000, "flops": 2000, "transcendentals": 0}


def test_rows_of_operators_add_up_and_the_costliest_is_first(net: GraphProfile) -> None:
    rows = document(net)["by_op"]
    assert [(row["op"], row["nodes"], row["macs"]) for row in rows] == [
        ("Conv", 2, 4000), ("Gemm", 1, 500), ("Relu", 1, 0), ("Mystery", 1, 0)
    ]  # fmt: skip
    assert sum(row["macs_share"] for row in rows) == pytest.approx(1)
    assert rows[3]["unknown_nodes"] == 1


def test_a_module_holds_all_that_is_inside_it_and_follows_its_parent(net: GraphProfile) -> None:
    rows = document(net, "module")["modules"]
    assert [(row["module"], row["depth"], row["nodes"], row["macs"]) for row in rows] == [
        ("", 0, 5, 4500),
        ("stem", 1, 2, 1000),
        ("body", 1, 2, 3000),
        ("body.0", 2, 1, 3000),
        ("body.1", 2, 1, 0),
    ]
    text = Analysis(net, "module").render("text")
    assert "\n  body " in text
    assert "\n    0 " in text


def test_csv_has_one_header_and_plain_numbers(symbolic: GraphProfile, net: GraphProfile) -> None:
    rows = table(net, "nodes")
    assert [row["name"] for row in rows] == ["c1", "r1", "c2", "u", "g"]
    assert (rows[0]["macs"], rows[0]["macs_formula"]) == ("1000", "")
    assert (rows[3]["macs"], rows[3]["status"]) == ("", "unknown")
    assert table(symbolic, "nodes")[0]["macs_formula"] == "16*B*S**2"
    (summary,) = table(symbolic)
    assert (summary["macs"], summary["macs_formula"]) == ("", "16*B*S**2")
    assert summary["params"] == "10"
    assert summary["inputs"] == "x:1x3x8x8"
    assert list(table(net)[0]) == list(summary), "the header does not depend on the model"
    assert "com.example::Mystery x1: no rule" in table(net)[0]["unknown"]


@pytest.mark.parametrize("view", ["nodes", "op", "module"])
def test_markdown_is_a_table_with_every_row(net: GraphProfile, view: View) -> None:
    text = Analysis(net, view).render("markdown")
    rows = [each for each in text.splitlines() if each.startswith("| ")]
    cells = {each.count("|") for each in rows if "MACs" in each or "Conv" in each or "c1" in each}
    assert len(cells) <= 2, "the summary and the rows"
    assert len(rows) >= len(sheet(net, view).rows)


def test_a_terminal_shows_the_costliest_nodes_and_says_what_is_left_out() -> None:
    nodes = [node(f"n{i}", macs=i, macs_least=i) for i in range(ROWS + 30)]
    text = sheet_text(sheet(profile(*nodes), "nodes"), 80)
    names = [each.split()[0] for each in text.splitlines()[2 : 2 + ROWS]]
    assert names == [f"n{i}" for i in range(ROWS + 29, 29, -1)]
    share = sum(range(30)) / sum(range(ROWS + 30))
    assert f"30 more nodes with {share:.0%}"[:-1] in text
    few = sheet_text(sheet(profile(*nodes[:ROWS]), "nodes"), 80)
    assert few.splitlines()[2].startswith("n0"), "all of them stand in the order of the file"
    assert "more nodes" not in few


def test_a_terminal_cuts_a_tree_of_modules_at_a_depth() -> None:
    nodes = [node(f"n{i}", module=("m", f"b{i % 7}", f"c{i}")) for i in range(100)]
    lines = sheet_text(sheet(profile(*nodes), "module"), 80).splitlines()
    assert [each.split()[0] for each in lines[2:11]] == [
        "(model)",
        "m",
        *(f"b{i}" for i in range(7)),
    ]
    assert lines[11].startswith("100 more modules, deeper in the tree")


@pytest.mark.parametrize("width", [20, 80, 120])
def test_no_row_is_wider_than_the_terminal(net: GraphProfile, width: int) -> None:
    wide = node("x" * 500, "Y" * 300, shapes_out=((1,) * 99,))
    for view in ("nodes", "op", "module"):
        text = sheet_text(sheet(profile(wide, *net.nodes), view), width)
        assert max(map(len, text.splitlines())) <= max(width, 48), view
    assert "x" * 500 in Analysis(profile(wide), "nodes").render("json"), "a document has all of it"
    assert "x" * 500 in Analysis(profile(wide), "nodes").render("csv")


def test_formulas_stand_in_rows_too(symbolic: GraphProfile) -> None:
    text = Analysis(symbolic, "nodes").render("text")
    assert "16·B·S²" in text
    assert "BxSx? ?" in text


@pytest.mark.timeout(60)
@pytest.mark.parametrize("view", ["nodes", "op", "module"])
def test_a_hundred_thousand_nodes_are_shown_at_once(view: View) -> None:
    nodes = [node(f"n{i}", module=(f"m{i // 1000}", f"b{i // 10}")) for i in range(100_000)]
    text = Analysis(profile(*nodes), view).render("text")
    assert len(text.splitlines()) < ROWS + 20


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_a_graph_without_nodes(form: Format) -> None:
    for view in (None, "nodes", "op", "module"):
        assert Analysis(profile(), view).render(form)


def test_intensity_needs_numbers_and_bytes() -> None:
    assert intensity(10, 3, 2) == 2
    assert intensity(10, 0, 0) is None
    assert intensity(B, 1, 1) is None
    assert intensity(1, S) is None
    assert intensity(1, None) is None
