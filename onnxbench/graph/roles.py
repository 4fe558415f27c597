"""What a constant is when it arrives at an input of an operator: a weight, a setting, a statistic.

One letter per input and one row per operator (rule W2). An operator without a row takes operands
alone, and so does every input behind the last letter; a constant operand is judged by its type and
size (`onnxbench.graph.parameters`), so a row is needed only where that would be wrong. Inputs:
onnx/defs and ONNX Runtime's ContribOperators.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.graph.network import Node

Role = Literal["weight", "codes", "operand", "buffer", "condition", "setting"]
"""``codes``: integers that stand for quantized weights, of whatever integer type they are."""

_LETTERS: Mapping[str, Role] = {
    "w": "weight",
    "q": "codes",
    ".": "operand",
    "b": "buffer",
    "c": "condition",
    "s": "setting",
}

_STANDARD = {
    "Attention": "....sss",
    "BatchNormalization": ".wwbb",
    "CastLike": ".s",
    "Clip": ".ss",
    "ConstantOfShape": "s",
    "Conv": ".ww",
    "ConvInteger": ".wss",
    "ConvTranspose": ".ww",
    "CumSum": ".s",
    "DeformConv": ".w.w",
    "DequantizeLinear": "qss",
    "Dropout": ".ss",
    "Expand": ".s",
    "GRU": ".wwwss",
    "Gemm": "www",
    "GroupNormalization": ".ww",
    "InstanceNormalization": ".ww",
    "LSTM": ".wwwsssw",
    "LayerNormalization": ".ww",
    "MatMul": "ww",
    "MatMulInteger": "wwss",
    "OneHot": ".ss",
    "PRelu": ".w",
    "Pad": ".sss",
    "QLinearConv": ".sswssssw",
    "QLinearMatMul": "wsswssss",
    "QuantizeLinear": ".ss",
    "RMSNormalization": ".w",
    "RNN": ".wwwss",
    "Range": "sss",
    "Reshape": ".s",
    "Resize": ".sss",
    "RotaryEmbedding": ".bb",
    "Shape": "s",
    "Size": "s",
    "Slice": ".ssss",
    "SimplifiedLayerNormalization": ".w",
    "Split": ".s",
    "Squeeze": ".s",
    "Tile": ".ss",
    "TopK": ".s",
    "Trilu": ".s",
    "Unsqueeze": ".s",
    "Upsample": ".s",
    "Where": "c",
}

_MICROSOFT = {
    "Attention": ".wwss.s",
    "BiasSplitGelu": ".w",
    "DequantizeLinear": "qss",
    "DynamicQuantizeLSTM": ".wwwssswssss",
    "DynamicQuantizeMatMul": ".wssw",
    "EmbedLayerNormalization": "ssqqqww",
    "FusedConv": ".ww",
    "FusedGemm": "www",
    "FusedMatMul": "ww",
    "GatherBlockQuantized": "qsss",
    "GroupNorm": ".ww",
    "GroupQueryAttention": ".....ssbbs.wssww",
    "MatMulBnb4": ".ws",
    "MatMulFpQ4": ".ws",
    "MatMulInteger16": "ww",
    "MatMulIntegerToFloat": ".wssssw",
    "MatMulNBits": ".wsssw",
    "MatMulNBitsMlp": "..wwswwsw",
    "MatMulNBitsQkv": "..wwswwswwsw",
    "MoE": "..wwwwww",
    "MultiHeadAttention": "...ws.sss",
    "NhwcConv": ".ww",
    "NhwcFusedConv": ".ww",
    "QAttention": ".wwsssss",
    "QEmbedLayerNormalization": "ssqqqqqsssssssssss",
    "QGemm": "wsswsswss",
    "QLinearAdd": ".ss.ssss",
    "QLinearAveragePool": ".ssss",
    "QLinearConcat": "ss.ss.ss.ss.ss",
    "QLinearConv": ".sswssssw",
    "QLinearGlobalAveragePool": ".ssss",
    "QLinearLeakyRelu": ".ssss",
    "QLinearMul": ".ss.ssss",
    "QLinearSigmoid": ".ssss",
    "QLinearSoftmax": ".ssss",
    "QMoE": "..wswwswwswsss",
    "QuantizeLinear": ".ss",
    "RotaryEmbedding": ".sbb",
    "SkipGroupNorm": ".ww.w",
    "SkipLayerNormalization": "..www",
    "SkipSimplifiedLayerNormalization": "..ww",
    "SparseAttention": ".....ssssbb",
}

_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_STANDARD.update((f"Reduce{each}", ".s") for each in _REDUCTIONS)

_ROWS = {"": _STANDARD, "com.microsoft": _MICROSOFT}


def role(node: Node, index: int) -> Role:
    """Return what a constant at input ``index`` of ``node`` is."""
    rows = _ROWS.get(node.domain)
    letters = rows.get(node.op, "") if rows is not None else ""
    return _LETTERS[letters[index]] if index < len(letters) else "operand"
