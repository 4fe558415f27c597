"""Text, hashes, dictionaries and images: work that no FLOP would describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxbench.graph.network import Unknown
from onnxbench.graph.operators.row import Operator
from onnxbench.graph.operators.rules import uncounted

if TYPE_CHECKING:
    from onnxbench.graph.cost import Cost
    from onnxbench.graph.network import Node

_CONTRIB = "com.microsoft"
_ML = "ai.onnx.ml"


def image_decoder(node: Node) -> Cost:
    """Unknown: what decoding an image takes is in its bytes."""
    raise Unknown(f"{node.op}: what decoding takes is in the bytes of the image")


_TEXT = Operator("text", uncounted("work on text is"))
_LOOK_UP = Operator("text", uncounted("looking keys up is"))
_HASH = Operator("text", uncounted("hashing is"))

ROWS = {
    **dict.fromkeys((("", op) for op in (
        "StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer",
    )), _TEXT),
    ("", "ImageDecoder"): Operator("text", image_decoder),
    **dict.fromkeys(((_ML, op) for op in (
        "CastMap", "CategoryMapper", "DictVectorizer", "LabelEncoder", "OneHotEncoder", "ZipMap",
    )), _LOOK_UP),
    (_CONTRIB, "Tokenizer"): _TEXT,
    (_CONTRIB, "MurmurHash3"): _HASH,
    (_CONTRIB, "NGramHashMapping"): _HASH,
    (_CONTRIB, "VarlenNGramHashMapping"): _HASH,
}  # fmt: skip
