"""``models.yaml`` → `ModelSpec`. Every error says file, line and column.

`onnxbench.catalog_yaml` reads the text, `onnxbench.catalog_schema` says what may stand in it;
here are the rules that tie models and suites together.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.catalog_yaml import KEY, MarkedYaml, Place
from onnxbench.errors import UsageError
from onnxbench.sources import InputSpec, Preprocess, Published, preprocess_from
from onnxbench.suggest import did_you_mean
from onnxbench.types import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from onnxbench import catalog_schema as schema
    from onnxbench.catalog_schema import Document, Input, Model

FILE_NAME = "models.yaml"
DEFAULT_SUITE = "default"
MANUAL = "docs/how-to/models-yaml.md says what may stand here"
WILDCARDS = "*?["
"""None of them may stand in an id."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models of one file and its suites, both in the order of the file.

    ``suites`` maps a name to ids; `DEFAULT_SUITE` is always there.
    """

    path: Path
    models: Mapping[str, ModelSpec]
    suites: Mapping[str, tuple[str, ...]]

    def find(self, model_id: str) -> ModelSpec:
        """Return the model called ``model_id``. Raises UsageError with the nearest id."""
        if model_id not in self.models:
            raise UsageError(
                f"no model {model_id} in {self.path}", did_you_mean(model_id, self.models)
            )
        return self.models[model_id]

    def select(self, patterns: Iterable[str]) -> list[ModelSpec]:
        """Return the models that ``patterns`` name, each once: ids, or wildcards like ``resnet*``.

        In the order of the patterns; what one wildcard names, in that of the catalogue. Raises
        UsageError, with the nearest name, for one that names nothing.
        """
        found: dict[str, ModelSpec] = {}
        for pattern in patterns:
            if not any(char in pattern for char in WILDCARDS):
                found[pattern] = self.find(pattern)
                continue
            named = [model_id for model_id in self.models if fnmatchcase(model_id, pattern)]
            if not named:
                families = {model.family for model in self.models.values() if model.family}
                near = did_you_mean(pattern, [*self.models, *(f"{name}*" for name in families)])
                raise UsageError(f"no model matches {pattern} in {self.path}", near)
            found |= {model_id: self.models[model_id] for model_id in named}
        return list(found.values())

    def suite(self, name: str) -> list[ModelSpec]:
        """Return the models of the suite. Raises UsageError with the nearest name."""
        if name not in self.suites:
            raise UsageError(f"no suite {name} in {self.path}", did_you_mean(name, self.suites))
        return [self.models[model_id] for model_id in self.suites[name]]


def locate(path: Path | None = None) -> Path:
    """Return the catalogue to read: ``path``, else ``./models.yaml``, else the shipped one."""
    if path is not None:
        return path
    if (here := Path(FILE_NAME)).is_file():
        return here
    package = Path(str(importlib.resources.files("onnxbench")))
    shipped = package / FILE_NAME
    # An editable install has no copy in the package: the file lies at the top of the clone.
    return shipped if shipped.is_file() else package.parent / FILE_NAME


def load(path: Path | None = None) -> Catalog:
    """Read and check the catalogue at ``path``, or the one that `locate` finds.

    Relative paths in sources are taken from the folder of the YAML file. Raises CatalogError.
    """
    path = locate(path)
    source = MarkedYaml.read(path)
    document = _validated(source)
    models: dict[str, ModelSpec] = {}
    for index, model in enumerate(document.models):
        if model.id in models:
            source.fail(("models", index, "id"), f"the id {model.id} stands here a second time")
        _check(model, ("models", index), source)
        models[model.id] = _spec(model, path.parent)
    return Catalog(path, models, _suites(document, models, source))


def _validated(source: MarkedYaml) -> Document:
    from pydantic import ValidationError  # noqa: PLC0415 - costs more than `--help` may take

    from onnxbench.catalog_schema import Document  # noqa: PLC0415

    try:
        return Document.model_validate(source.value)
    except ValidationError as invalid:
        # One place may fail in several ways: the first is told.
        problems = {p[0]: p for p in map(partial(_problem, source), invalid.errors()[::-1])}
        # Where a key is missing and another one is unknown, the other is the missing one, mistyped.
        mistyped = {place[:-2] for place in problems if place[-1:] == (KEY,)}
        first = min(problems.keys() - mistyped, key=source.position)
        _, text, hint = problems[first]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        source.fail(first, text + more, hint or MANUAL)


def _problem(source: MarkedYaml, error: ErrorDetails) -> tuple[Place, str, str]:
    """Return place, text and hint of one of pydantic's errors."""
    from onnxbench.catalog_schema import EXPLAINED, keys_beside  # noqa: PLC0415

    loc = error["loc"]
    place = source.place(loc)
    match error["type"]:
        case "extra_forbidden":
            key = str(loc[-1])
            hint = did_you_mean(key, keys_beside(loc))
            return source.place((*loc, KEY)), f"unknown key {key}", hint
        case "missing":
            return place, f"the key {loc[-1]} is missing here", ""
        case "model_type" | "dict_type":
            return place, "should be a mapping of keys to values", ""
        case "string_pattern_mismatch":
            pattern = error["ctx"]["pattern"]
            return place, f"{str(error['input'])[:100]!r} is not {EXPLAINED[pattern]}", ""
        case _:
            keys = [part for part in place if isinstance(part, str) and part != KEY]
            return place, "".join(f"{key}: " for key in keys[-1:]) + error["msg"], ""


def _check(model: Model, place: Place, source: MarkedYaml) -> None:
    """Fail where values that are right by themselves do not fit together."""
    if model.input_range and model.input_range[0] >= model.input_range[1]:
        source.fail((*place, "input_range"), "the low end must be below the high end")
    scheme = model.source.partition(":")[0]
    if scheme == "url" and model.sha256 is None:
        hint = "add sha256: and what `sha256sum FILE` prints for the file you trust"
        source.fail(place, f"{model.id} is downloaded, so it needs a sha256", hint)
    if scheme != "url" and model.sha256 is not None:
        problem = f"only what a url: source downloads is compared with it, not {scheme}:"
        source.fail((*place, "sha256"), problem)
    for name, declared in model.inputs.items():
        at: Place = (*place, "inputs", name)
        if not isinstance(declared, list):
            at, declared = (*at, "shape"), declared.shape  # noqa: PLW2901 - the list in both forms
        if "batch" in declared[1:]:
            inner = declared.index("batch", 1)
            source.fail((*at, inner), "batch is always the first dim")
    picture = model.preprocess
    if picture and len(picture.mean) != len(picture.std):
        problem = f"mean has {len(picture.mean)} channels, std has {len(picture.std)}"
        source.fail((*place, "preprocess"), problem)


def _spec(model: Model, folder: Path) -> ModelSpec:
    low_high = model.input_range
    return ModelSpec(
        id=model.id,
        source=_absolute(model.source, folder),
        task=model.task,
        weights=model.weights,
        family=model.family,
        tags=tuple(model.tags),
        input_range=(low_high[0], low_high[1]) if low_high else None,
        published=tuple(Published(**each.model_dump()) for each in model.published),
        inputs=tuple(_input(name, each) for name, each in model.inputs.items()),
        preprocess=_preprocess(model.preprocess),
        opset=model.opset,
        weights_from=model.weights_from,
        arguments=tuple(
            (name, tuple(value) if isinstance(value, list) else value)
            for name, value in model.arguments.items()
        ),
        fuse=model.fuse,
        sha256=model.sha256,
    )


def _input(name: str, declared: Sequence[int | str] | Input) -> InputSpec:
    from onnxbench.catalog_schema import Input  # noqa: PLC0415

    if isinstance(declared, Input):
        return InputSpec(name, tuple(declared.shape), declared.dtype, declared.high)
    return InputSpec(name, tuple(declared))


def _preprocess(declared: schema.Preprocess | None) -> Preprocess | None:
    if declared is None:
        return None
    values = declared.model_dump()
    if isinstance(values["crop"], int):
        values["crop"] = [values["crop"]] * 2
    return preprocess_from(values)


def _absolute(source: str, folder: Path) -> str:
    """Return ``source`` with the file that it names, if any, found from anywhere.

    ``SCHEME:path/to/file.py:function`` names one too.
    """
    scheme, _, location = source.partition(":")
    path, _, function = location.rpartition(":")
    if path.endswith(".py"):
        return f"{scheme}:{(folder / path).absolute()}:{function}"
    return f"{scheme}:{(folder / location).absolute()}" if scheme in ("file", "onnx") else source


def _suites(
    document: Document, models: Mapping[str, ModelSpec], source: MarkedYaml
) -> dict[str, tuple[str, ...]]:
    resolved: dict[str, tuple[str, ...]] = {}
    aliases: dict[str, str] = {}
    for name, suite in document.suites.items():
        if isinstance(suite, str):
            aliases[name] = suite
        elif isinstance(suite, list):
            for index, model_id in enumerate(suite):
                if model_id not in models:
                    hint = did_you_mean(model_id, models)
                    source.fail(("suites", name, index), f"no model {model_id}", hint)
            resolved[name] = tuple(dict.fromkeys(suite))
        else:
            wanted = set(suite.tags)
            resolved[name] = tuple(m.id for m in models.values() if wanted <= set(m.tags))
            if not resolved[name]:
                tags = {tag for model in models.values() for tag in model.tags}
                unknown = next((tag for tag in suite.tags if tag not in tags), None)
                hint = did_you_mean(unknown, tags) if unknown else "ask for fewer tags"
                source.fail(("suites", name), "no model carries all of these tags", hint)
    for name, target in aliases.items():
        if target not in resolved:
            # An alias of an alias is refused with the rest: it could go round in a circle.
            hint = did_you_mean(target, resolved)
            source.fail(("suites", name), f"no suite {target} with ids or tags", hint)
    resolved |= {name: resolved[target] for name, target in aliases.items()}
    resolved.setdefault(DEFAULT_SUITE, tuple(models))
    return {name: resolved[name] for name in (*document.suites, DEFAULT_SUITE)}
