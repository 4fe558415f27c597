"""Which networks the zoo holds, what is published about each, and how each is built.

torchvision: every classification network at every image size that its weights' tables give
operations for. timm: of each module of the library the smallest network of at least one GMAC at its
default size that the published table has, and of the larger modules one from the middle as well.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.analyzer.zoo_libraries import timm, torchvision

if TYPE_CHECKING:
    from pathlib import Path

    from onnxbench.types import JsonObject

LEGACY, DYNAMO = "legacy", "dynamo"
"""torch's exporters: the tracing one, and the one on top of torch.export."""
EXPORTERS = (LEGACY, DYNAMO)

PURE = "gmacs: MACs of convolutions and matrix products alone, 3 decimals; params: exact"
FVCORE = (
    "gmacs: fvcore's MACs (normalisation and pooling count), unfused attention, training's "
    "branches merged, 2 decimals; params_m: learnable, 2 decimals"
)

# timm's table rounds to 0.01 GMACs, which is worth at most half a percent from one GMAC on.
LEAST_GMACS = 1.0
MOST_GMACS = 30.0
MOST_PARAMS_M = 100.0
LARGE_MODULE = 12  # networks in the table from which a module gives two


@dataclass(frozen=True, slots=True)
class Network:
    """One row of the zoo. `name` is the stem of its files, `model` what `source` calls it,
    `img_size` in pixels; `exporters` are tried in this order."""

    name: str
    source: str
    model: str
    img_size: int | None
    published: JsonObject
    convention: str
    exporters: tuple[str, ...] = (LEGACY, DYNAMO)


@dataclass(frozen=True, slots=True)
class Sample:
    """A built network and inputs to export it with. `dynamic` names the dims that stay open:
    per input, the names by axis. `optimize`: whether the dynamo exporter may rewrite its graph."""

    module: Any
    inputs: dict[str, Any]
    outputs: list[str]
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)
    optimize: bool = False


def torchvision_networks() -> list[Network]:
    """Return one network per classification model and image size, by name."""
    models = torchvision.models
    found: dict[str, Network] = {}
    for model in models.list_models(module=models):
        for weights in models.get_model_weights(model):
            img_size = weights.transforms().crop_size[0]
            name = f"torchvision-{model}-{img_size}"
            published = {
                "gmacs": weights.meta["_ops"],
                "params": weights.meta["num_params"],
                "weights": weights.name,
            }
            found.setdefault(name, Network(name, "torchvision", model, img_size, published, PURE))
    return [found[name] for name in sorted(found)]


def timm_networks(table: Path) -> list[Network]:
    """Return one or two networks per timm module; `table` is one of timm's published inference
    results with the columns model, infer_img_size, infer_gmacs, infer_macts and param_count."""
    modules = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            model = row["model"]
            if not timm.is_model(model) or model.startswith("test_"):
                continue
            img_size = int(row["infer_img_size"])
            if timm.get_pretrained_cfg(model).input_size[-1] == img_size:
                modules[timm.models.model_entrypoint(model).__module__].append(row)
    chosen = [row for _, rows in sorted(modules.items()) for row in _chosen(rows)]
    return [_timm_network(row) for row in chosen]


def _chosen(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    rows = sorted(rows, key=lambda row: (float(row["infer_gmacs"]), row["model"]))
    fitting = [
        row
        for row in rows
        if LEAST_GMACS <= float(row["infer_gmacs"]) <= MOST_GMACS
        and float(row["param_count"]) <= MOST_PARAMS_M
    ]
    if not fitting:
        return rows[-1:] if float(rows[-1]["infer_gmacs"]) < LEAST_GMACS else rows[:1]
    if len(rows) < LARGE_MODULE or len(fitting) == 1:
        return fitting[:1]
    return [fitting[0], fitting[len(fitting) // 2]]


def _timm_network(row: dict[str, str]) -> Network:
    img_size = int(row["infer_img_size"])
    published = {
        "gmacs": float(row["infer_gmacs"]),
        "macts_m": float(row["infer_macts"]),
        "params_m": float(row["param_count"]),
    }
    name = f"timm-{row['model']}-{img_size}"
    return Network(name, "timm", row["model"], img_size, published, FVCORE)


def build_image_network(network: Network) -> Sample:
    """Return a torchvision or timm network with untrained weights, one image as its input."""
    build = _torchvision_module if network.source == "torchvision" else _timm_module
    image = torch.zeros(1, 3, network.img_size, network.img_size)
    return Sample(build(network), {"x": image}, ["logits"])


def _torchvision_module(network: Network) -> Any:
    # What the published weights set: without it GoogLeNet has heads its parameter count leaves out.
    options: dict[str, Any] = {
        "googlenet": {"aux_logits": False, "transform_input": True, "init_weights": False},
        "inception_v3": {"transform_input": True, "init_weights": False},
    }.get(network.model, {})
    if network.model.startswith("vit_"):
        options = {"image_size": network.img_size}
    return torchvision.models.get_model(network.model, weights=None, **options)


def _timm_module(network: Network) -> Any:
    # As the published table was counted: attention as two matrix products and a softmax, branches
    # that only training needs (RepVGG's, MobileOne's) merged.
    timm.layers.set_fused_attn(False)
    timm.layers.set_exportable(True)
    module = timm.create_model(network.model, pretrained=False, exportable=True)
    return timm.utils.model.reparameterize_model(module.eval())
