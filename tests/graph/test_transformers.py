"""Closed forms of transformers whose batch and sequence stay open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest

from onnxbench.graph.analysis import analyze
from onnxbench.graph.formulas import evaluate, parse
from onnxbench.graph.profile import Binding
from tests.graph import transformers

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.graph.profile import GraphProfile

NAMES = ["bert", "gpt2", "llama", "vit"]


def profile(
    folder: Path, name: str, **binding: int
) -> tuple[transformers.Transformer, GraphProfile]:
    made: transformers.Transformer = getattr(transformers, name)()
    path = folder / f"{name}.onnx"
    onnx.save(made.model, path)
    return made, analyze(path, Binding(dims=binding))


@pytest.mark.parametrize("name", NAMES)
def test_macs_are_the_formula_that_was_written_by_hand(tmp_path: Path, name: str) -> None:
    made, found = profile(tmp_path, name)
    assert found.exact
    assert found.unknown == ()
    assert found.macs == parse(made.macs)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_once_also_when_the_head_is_tied(tmp_path: Path, name: str) -> None:
    made, found = profile(tmp_path, name)
    assert found.parameters.params == made.params


@pytest.mark.parametrize("name", NAMES)
def test_bound_dims_give_what_the_formula_gives(tmp_path: Path, name: str) -> None:
    dims = {"B": 3, "S": 7, "P": 5}
    made, open_profile = profile(tmp_path, name)
    used = {key: dims[key] for key in dims if key in open_profile.symbols}
    _, found = profile(tmp_path, name, **used)
    assert found.macs == evaluate(parse(made.macs), dims)
    assert found.flops == evaluate(open_profile.flops, dims)
    assert found.bytes_read == evaluate(open_profile.bytes_read, dims)
    assert found.memory.liveness_bytes is not None
    assert open_profile.memory.liveness_bytes is None
    assert "--dim" in open_profile.memory.reason


def test_the_cache_of_a_decoder_takes_two_heads_of_eight_floats_per_layer(tmp_path: Path) -> None:
    _, found = profile(tmp_path, "llama")
    assert found.kv_cache is not None
    assert found.kv_cache.layers == 2
    assert found.kv_cache.bytes_per_token == 2 * 2 * 2 * 8 * 4


def test_a_network_without_a_cache_has_none(tmp_path: Path) -> None:
    _, found = profile(tmp_path, "bert")
    assert found.kv_cache is None
