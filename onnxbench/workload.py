"""Binds symbolic dimensions and chooses how each input is made. Pure.

Whatever is guessed here (a sequence length, a range of token ids) is said out loud: every guess
becomes a note of the workload, with the flag that overrides it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from onnxbench.errors import PlanError
from onnxbench.text import safe_text
from onnxbench.types import ExpectedOutput, GivenTensor, InputRecipe, Workload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.types import Artifact, TensorSpec

GUESSED_DIMS: tuple[tuple[str, int], ...] = (
    (r"seq|token|length", 128),
    (r"height|width|^h$|^w$", 224),
    (r"channel", 3),
)
"""Sizes for symbols that nobody bound, by what their name holds."""

IMAGE_SIDE = 224
_BATCH = re.compile("batch|^n$|^b$")

_FLOATS = {
    "float", "double", "float16", "bfloat16",
    "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
}  # fmt: skip
_INT_RANGES = {"uint8": (0, 256), "int8": (-128, 128)}


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user said about shapes and inputs.

    ``batch`` binds the first dim; ``dims`` binds symbols; ``shapes`` whole inputs. ``given`` are
    real inputs by name, ``expected`` the outputs that came with them. ``float_range`` is the
    half-open range of random floats.
    """

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    seed: int = 0
    float_range: tuple[float, float] = (-1.0, 1.0)
    given: Mapping[str, GivenTensor] = field(default_factory=dict)
    expected: tuple[ExpectedOutput, ...] = ()


def make_workload(artifact: Artifact, ask: Ask) -> Workload:
    """Return shapes and recipes for every input of ``artifact``.

    Raises PlanError, naming the input and the flag, when a dim stays open, a fixed dim
    contradicts what was asked, or an input has a type that cannot be made.
    """
    binder = _Binder(artifact, ask)
    recipes = tuple(binder.recipe(spec) for spec in artifact.inputs)
    batch = _batch_of(recipes)
    if ask.batch not in (None, batch):
        found = "no input has a batch" if batch is None else f"the batch is fixed at {batch}"
        message = f"{found}, asked was {ask.batch}"
        raise PlanError(message, "leave --batch out, or export the model with a dynamic batch")
    return Workload(recipes, batch, ask.expected, tuple(binder.notes))


def symbols(artifact: Artifact) -> set[str]:
    """Return the names of the symbolic dims of the inputs."""
    return {d for spec in artifact.inputs for d in spec.shape or () if isinstance(d, str)}


def _batch_of(recipes: tuple[InputRecipe, ...]) -> int | None:
    """Return the first dim of the first input of rank 2 or more, None where there is none."""
    first = next((recipe.shape[0] for recipe in recipes if len(recipe.shape) >= 2), 0)
    return first or None


class _Binder:
    """Binds one artifact; collects the guesses as notes."""

    def __init__(self, artifact: Artifact, ask: Ask) -> None:
        self._ask = ask
        self.notes: list[str] = []
        self._bound: dict[str, int] = dict(ask.dims)
        shapes = [self._said(spec) for spec in artifact.inputs]
        for spec, said in zip(artifact.inputs, shapes, strict=True):
            # Symbols of an input whose shape is known, so that the other inputs follow it.
            for symbol, size in zip(spec.shape or (), said, strict=False):
                if isinstance(symbol, str) and isinstance(size, int):
                    self._bound.setdefault(symbol, size)
        leading = next((shape[0] for shape in shapes if len(shape) >= 2), None)
        if isinstance(leading, str):
            leading = self._bound.setdefault(leading, ask.batch or 1)
        self._batch = leading or ask.batch or 1

    def _said(self, spec: TensorSpec) -> tuple[int | str | None, ...]:
        """Return the shape that a file or the user gives an input, else the declared one."""
        given = self._ask.given.get(spec.name)
        if given is not None:
            return given.shape
        return self._ask.shapes.get(spec.name, spec.shape or ())

    def recipe(self, spec: TensorSpec) -> InputRecipe:
        given = self._ask.given.get(spec.name)
        if given is not None:
            return self._from_file(spec, given)
        shape = self._shape(spec)
        if self._ask.given:
            self.notes.append(f"{safe_text(spec.name)}: not in --inputs, so it is made up")
        made = self._choose(spec, shape)
        return replace(made, seed=self._ask.seed)

    def _shape(self, spec: TensorSpec) -> tuple[int, ...]:
        name = safe_text(spec.name)
        asked = self._ask.shapes.get(spec.name)
        if asked is not None:
            self._check_fits(spec, asked, "--shape says")
            return asked
        if "(" in spec.dtype:
            message = f"input {name} is a {spec.dtype}, which cannot be made from a shape"
            raise PlanError(message, "such inputs cannot be benchmarked yet")
        if spec.shape is None:
            message = f"input {name} has no declared rank"
            raise PlanError(message, f"give its shape: --shape {name}:1x3x224x224")
        return tuple(self._dim(spec, axis, dim) for axis, dim in enumerate(spec.shape))

    def _dim(self, spec: TensorSpec, axis: int, dim: int | str | None) -> int:
        if isinstance(dim, int):
            return dim
        if isinstance(dim, str) and dim in self._bound:
            return self._bound[dim]
        if axis == 0 and (_BATCH.search(dim.lower()) if dim else len(spec.shape or ()) > 1):
            return self._batch
        size = self._guess(spec, axis, dim)
        if isinstance(dim, str):
            self._bound[dim] = size
        return size

    def _guess(self, spec: TensorSpec, axis: int, dim: str | None) -> int:
        name, symbol = safe_text(spec.name), safe_text(dim or "")
        rank = len(spec.shape or ())
        if dim is None and rank == 4 and axis >= 2:
            self.notes.append(
                f"{name}: axis {axis} set to {IMAGE_SIDE} (a guess; --shape {name}:… sets it)"
            )
            return IMAGE_SIDE
        for pattern, size in GUESSED_DIMS:
            if re.search(pattern, symbol.lower()):
                self.notes.append(f"{symbol} set to {size} (a guess; --dim {symbol}=N sets it)")
                return size
        what = f"dim {symbol}" if symbol else f"axis {axis}"
        flag = f"--dim {symbol}=N" if symbol else f"--shape {name}:{'x'.join('1' * rank)}"
        message = f"input {name}: {what} is open"
        raise PlanError(message, f"bind it with {flag}")

    def _check_fits(self, spec: TensorSpec, shape: tuple[int, ...], says: str) -> None:
        declared = spec.shape
        fits = declared is None or (
            len(declared) == len(shape)
            and all(not isinstance(d, int) or d == n for d, n in zip(declared, shape, strict=True))
        )
        if not fits:
            message = (
                f"input {safe_text(spec.name)} is declared {_show(declared)}, {says} {_show(shape)}"
            )
            raise PlanError(message, "keep the fixed dims of the model")

    def _from_file(self, spec: TensorSpec, given: GivenTensor) -> InputRecipe:
        name = safe_text(spec.name)
        if given.dtype != spec.dtype:
            message = f"input {name} is {spec.dtype}, the file holds {given.dtype}"
            raise PlanError(message, f"store it as {spec.dtype} and pass it with --inputs again")
        self._check_fits(spec, given.shape, "the file holds")
        return InputRecipe(
            spec.name, spec.dtype, given.shape, "file",
            path=given.path, member=given.member, sha256=given.sha256,
        )  # fmt: skip

    def _choose(self, spec: TensorSpec, shape: tuple[int, ...]) -> InputRecipe:
        """Return the recipe for a generated input, by type, then by what its name says."""
        recipe = _by_type(spec, shape, self._ask.float_range)
        named = _by_name(spec, recipe, self._bound)
        if named is not None:
            recipe, said = named
            self.notes.append(f"{safe_text(spec.name)}: {said} (a guess; --inputs gives real ones)")
        return recipe


def _by_type(
    spec: TensorSpec, shape: tuple[int, ...], float_range: tuple[float, float]
) -> InputRecipe:
    base = InputRecipe(spec.name, spec.dtype, shape, "uniform")
    if spec.dtype in _FLOATS:
        return replace(base, low=float_range[0], high=float_range[1])
    if spec.dtype == "bool":
        return replace(base, kind="bernoulli")
    if spec.dtype == "string":
        return replace(base, kind="digits")
    low, high = _INT_RANGES.get(spec.dtype, (0, 2))
    if spec.index_limit is not None:
        low, high = 0, max(1, spec.index_limit)
    return replace(base, low=low, high=high)


def _by_name(
    spec: TensorSpec, recipe: InputRecipe, bound: Mapping[str, int]
) -> tuple[InputRecipe, str] | None:
    """Return the recipe that an input's name and rank suggest, and how to say so."""
    name, rank = spec.name.lower(), len(recipe.shape)
    whole = recipe.dtype in ("int32", "int64")
    if recipe.dtype == "string":
        return None

    def constant(value: float, said: str) -> tuple[InputRecipe, str]:
        return replace(recipe, kind="constant", low=value, high=value), said

    if "mask" in name:
        return constant(1, "a mask of ones")
    if not whole:
        return constant(1, "true") if recipe.dtype == "bool" and rank == 0 else None
    if "token_type" in name or "segment" in name:
        return constant(0, "segment ids of 0")
    longest_range = recipe.shape[-1] if recipe.shape else 1
    if "position" in name and longest_range <= (spec.index_limit or longest_range):
        return replace(recipe, kind="range"), "positions 0, 1, 2 …"
    if rank <= 1 and ("len" in name or "size" in name):
        longest = max((n for s, n in bound.items() if re.search("seq|len", s.lower())), default=1)
        return constant(longest, f"lengths of {longest}")
    if spec.index_limit is not None or re.search(r"ids?$|token|index|indices", name):
        kind = "token ids" if rank == 2 else "indices"
        return recipe, f"{kind} in [{int(recipe.low)}, {int(recipe.high)})"
    if rank == 0:
        return constant(1, "1")
    return recipe, f"integers in [{int(recipe.low)}, {int(recipe.high)})"


def elements(shape: tuple[int, ...]) -> int:
    """Return the number of elements of a tensor of ``shape``."""
    return math.prod(shape)


def _show(shape: tuple[Any, ...] | None) -> str:
    return "x".join("?" if d is None else safe_text(str(d)) for d in shape or ()) or "a scalar"
