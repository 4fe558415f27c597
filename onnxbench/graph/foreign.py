"""Text that a stranger wrote into a model: checked where it is used, cut where it is shown."""

from __future__ import annotations

from onnxbench.errors import RefusedInput


def shown(text: object, limit: int = 200) -> str:
    """Return ``repr(text)`` cut to ``limit`` characters, for messages."""
    # Cut first: the repr of a long name must not be built.
    quoted = repr(text[:limit] if isinstance(text, str | bytes) else text)
    return quoted if len(quoted) <= limit else quoted[: limit - 2] + "…'"


def require_text(*names: str) -> None:
    """Raise RefusedInput ``malformed`` unless all ``names`` are UTF-8.

    protobuf's C parser gives a string field that is not UTF-8 as bytes, against its declared type.
    """
    try:
        "".join(names)
    except TypeError:
        wrong = next(name for name in names if not isinstance(name, str))
        raise RefusedInput(
            "malformed",
            f"not an ONNX file: the name {shown(wrong)} is not UTF-8",
            "export the model anew",
        ) from None
