"""Networks whose batch and sequence stay open, with their cost as a polynomial written by hand.

The formulas count what the `pure` convention counts: convolutions and matrix products, at their
full size (a causal mask saves nothing). Dims carry the names they have in the file.
"""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.analyzer.zoo_libraries import torchvision
from benchmarks.analyzer.zoo_networks import DYNAMO, LEGACY, Network, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.types import JsonObject

EXACT = (
    "macs: monomial in the file's dims -> coefficient, exact, convolutions and matrix products; "
    "the polynomial is their sum"
)
BATCH, SEQUENCE, PAST = "batch", "sequence", "past"
# The exporter takes an example dim of 0 or 1 for a constant.
EXAMPLE = {BATCH: 2, SEQUENCE: 8, PAST: 5}


@dataclass(frozen=True, slots=True)
class Transformer:
    """Sizes that a transformer's cost follows from; `head_dim` is one head's width."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int


BERT = Transformer(layers=12, hidden=768, ffn=3072, heads=12, kv_heads=12, head_dim=64, vocab=30522)
GPT2 = Transformer(layers=12, hidden=768, ffn=3072, heads=12, kv_heads=12, head_dim=64, vocab=50257)
LLAMA = Transformer(layers=2, hidden=512, ffn=1376, heads=8, kv_heads=2, head_dim=64, vocab=4000)
VIT_B_16 = Transformer(
    layers=12, hidden=768, ffn=3072, heads=12, kv_heads=12, head_dim=64, vocab=1000
)


def bert_macs(size: Transformer) -> dict[str, int]:
    """Return BERT's MACs: encoder layers and the pooler, which sees one token per sequence."""
    token = size.layers * (4 * size.hidden**2 + 2 * size.hidden * size.ffn)
    return {
        "batch*sequence^2": 2 * size.layers * size.hidden,
        "batch*sequence": token,
        "batch": size.hidden**2,
    }


def gpt2_macs(size: Transformer) -> dict[str, int]:
    """Return GPT-2's MACs, with logits for every token."""
    layer = 4 * size.hidden**2 + 2 * size.hidden * size.ffn
    return {
        "batch*sequence^2": 2 * size.layers * size.hidden,
        "batch*sequence": size.layers * layer + size.hidden * size.vocab,
    }


def llama_macs(size: Transformer, *, past: bool) -> dict[str, int]:
    """Return MACs of a decoder with grouped queries and a gated MLP, with logits for every token.

    The rotary angles are an outer product, which the file has as a multiplication: no MACs.
    """
    width = size.heads * size.head_dim
    kv_width = size.kv_heads * size.head_dim
    layer = 2 * size.hidden * (width + kv_width) + 3 * size.hidden * size.ffn
    macs = {
        "batch*sequence^2": 2 * size.layers * width,
        "batch*sequence": size.layers * layer + size.hidden * size.vocab,
    }
    return macs | ({"batch*past*sequence": 2 * size.layers * width} if past else {})


def vit_macs(size: Transformer, *, img_size: int, patch: int) -> dict[str, int]:
    """Return a vision transformer's MACs per image: patches, encoder, and the head on one token."""
    patches = (img_size // patch) ** 2
    tokens = patches + 1
    layer = tokens * (4 * size.hidden**2 + 2 * size.hidden * size.ffn)
    layer += 2 * tokens**2 * size.hidden
    embedding = patches * 3 * patch**2 * size.hidden
    return {"batch": embedding + size.layers * layer + size.hidden * size.vocab}


def dynamic_networks() -> list[Network]:
    """Return every network with open dims."""
    vit = vit_macs(VIT_B_16, img_size=224, patch=16)
    resnet = {"batch": 4_089_184_256}  # exact count of the ResNet-50 with the stride in its 3x3
    llama = llama_macs(LLAMA, past=False)
    llama_past = llama_macs(LLAMA, past=True)
    return [
        _network("bert-base", "transformers", BERT, bert_macs(BERT), (DYNAMO, LEGACY)),
        _network("gpt2", "transformers", GPT2, gpt2_macs(GPT2), (DYNAMO, LEGACY)),
        _network("llama-gqa", "transformers", LLAMA, llama, (DYNAMO, LEGACY)),
        _network("llama-gqa-past", "transformers", LLAMA, llama_past, (DYNAMO,)),
        _network("vit_b_16", "torchvision", VIT_B_16, vit, (DYNAMO,)),
        _network("vit_b_16-legacy", "torchvision", VIT_B_16, vit, (LEGACY,)),
        _network("resnet50", "torchvision", None, resnet, (DYNAMO,)),
        _network("resnet50-legacy", "torchvision", None, resnet, (LEGACY,)),
    ]


def _network(
    model: str,
    source: str,
    size: Transformer | None,
    macs: dict[str, int],
    exporters: tuple[str, ...],
) -> Network:
    published: JsonObject = {"macs": dict(macs)}
    if size is not None:
        published["size"] = asdict(size)
    img_size = 224 if source == "torchvision" else None
    return Network(f"{model}-dynamic", source, model, img_size, published, EXACT, exporters)


def build_dynamic_network(network: Network) -> Sample:
    """Return one of `dynamic_networks` with untrained weights and inputs of its example dims."""
    return _BUILDERS[network.model.removesuffix("-legacy")](network)


def _bert(_: Network) -> Sample:
    transformers = importlib.import_module("transformers")
    module = transformers.BertModel(transformers.BertConfig(attn_implementation="eager"))
    axes = {0: BATCH, 1: SEQUENCE}
    return Sample(
        module,
        {"input_ids": _ids(), "attention_mask": torch.ones_like(_ids())},
        ["last_hidden_state", "pooler_output"],
        {"input_ids": axes, "attention_mask": axes},
        optimize=True,
    )


def _gpt2(_: Network) -> Sample:
    transformers = importlib.import_module("transformers")
    config = transformers.GPT2Config(use_cache=False, attn_implementation="eager")
    return _decoder(transformers.GPT2LMHeadModel(config))


def _llama(_: Network) -> Sample:
    return _decoder(_llama_module())


def _decoder(module: Any) -> Sample:
    dynamic = {"input_ids": {0: BATCH, 1: SEQUENCE}}
    return Sample(module, {"input_ids": _ids()}, ["logits"], dynamic, optimize=True)


def _llama_with_past(_: Network) -> Sample:
    """Return a decoder that takes and gives keys and values as plain tensors."""
    module = _llama_module()
    layers = range(LLAMA.layers)
    names = [f"{kind}_{layer}" for layer in layers for kind in ("key", "value")]
    cached = torch.zeros(EXAMPLE[BATCH], LLAMA.kv_heads, EXAMPLE[PAST], LLAMA.head_dim)
    dynamic = {"input_ids": {0: BATCH, 1: SEQUENCE}}
    dynamic |= {f"past_{name}": {0: BATCH, 2: PAST} for name in names}
    # An attribute of the instance wins over the class's method, and needs no wrapping module, which
    # would rename every weight.
    module.forward = _with_flat_cache(module)
    return Sample(
        module,
        {"input_ids": _ids()} | {f"past_{name}": cached.clone() for name in names},
        ["logits", *(f"present_{name}" for name in names)],
        dynamic,
        optimize=True,
    )


def _with_flat_cache(module: Any) -> Callable[..., tuple[Any, ...]]:
    cache_type = importlib.import_module("transformers").DynamicCache
    run = module.forward

    def forward(
        input_ids: Any, past_key_0: Any, past_value_0: Any, past_key_1: Any, past_value_1: Any
    ) -> tuple[Any, ...]:
        cache = cache_type()
        cache.update(past_key_0, past_value_0, 0)
        cache.update(past_key_1, past_value_1, 1)
        found = run(input_ids, past_key_values=cache, use_cache=True)
        layers = found.past_key_values.layers
        return (found.logits, *(each for layer in layers for each in (layer.keys, layer.values)))

    return forward


def _llama_module() -> Any:
    transformers = importlib.import_module("transformers")
    config = transformers.LlamaConfig(
        vocab_size=LLAMA.vocab,
        hidden_size=LLAMA.hidden,
        intermediate_size=LLAMA.ffn,
        num_hidden_layers=LLAMA.layers,
        num_attention_heads=LLAMA.heads,
        num_key_value_heads=LLAMA.kv_heads,
        use_cache=False,
        attn_implementation="eager",
    )
    return transformers.LlamaForCausalLM(config)


def _image_network(network: Network) -> Sample:
    model = network.model.removesuffix("-legacy")
    image = torch.zeros(EXAMPLE[BATCH], 3, network.img_size, network.img_size)
    module = torchvision.models.get_model(model, weights=None)
    return Sample(module, {"x": image}, ["logits"], {"x": {0: BATCH}})


def _ids() -> Any:
    return torch.zeros(EXAMPLE[BATCH], EXAMPLE[SEQUENCE], dtype=torch.long)


_BUILDERS: dict[str, Callable[[Network], Sample]] = {
    "bert-base": _bert,
    "gpt2": _gpt2,
    "llama-gqa": _llama,
    "llama-gqa-past": _llama_with_past,
    "vit_b_16": _image_network,
    "resnet50": _image_network,
}
