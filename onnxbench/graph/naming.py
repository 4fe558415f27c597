"""The open dims of a model's inputs: what they are called, and which sizes the user gives them.

Inputs are the authority on sizes: shapes of all other values follow from them. A dim that the file
names is one symbol wherever the name stands. Names are the file's own text ("sequence length",
"s0 + s1", "?"), and formulas need identifiers, so `Names` keeps what stands for what.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onnxbench.errors import UsageError
from onnxbench.graph.dims import Expr, TooComplex, symbol
from onnxbench.graph.foreign import shown
from onnxbench.graph.formulas import evaluate, parse, symbols
from onnxbench.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnx import ValueInfoProto

    from onnxbench.graph.dims import Dim
    from onnxbench.graph.profile import Binding

    Shape = tuple[Dim | None, ...]

MAX_SIZE = 1 << 31

_HYPHENATED = re.compile(r"[A-Za-z_]\w*(-\w+)+", re.ASCII)
_MEANINGLESS = re.compile(r"\W*|-\d+|None|unk__\d+", re.ASCII)
"""Texts that say no more than "open": "?", "*", "-1", "None", and what ONNX's inference writes."""

_NOT_IN_IDENTIFIERS = re.compile(r"\W+", re.ASCII)
_LONGEST = 80


class Names:
    """Symbols by which formulas name open dims; no two things get the same one."""

    def __init__(self, binding: Binding) -> None:
        self.originals: dict[str, str] = {}
        self.notes: list[str] = []
        self.invented = 0
        self._sizes: dict[str, int] = {}
        self._dims: dict[str, Dim] = {}
        self._taken: set[str] = set()
        self._by_text: dict[str, list[str]] = {}
        self._asked = dict(binding.dims)
        self._used: set[str] = set()

    # ------------------------------------------------------------------------------ what is open

    def declare(self, inputs: Sequence[ValueInfoProto]) -> list[Shape | None]:
        """Return the shapes of ``inputs``, open dims as symbols. Called once, first."""
        texts = [dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim]
        self._declare_texts(texts)
        return [self._shape(value) for value in inputs]

    def fresh(self, hint: str) -> Dim:
        """Return a new dim whose name starts like ``hint``; its size, if the user gives it."""
        self.invented += 1
        return self._bound(self._new(hint))

    def adopt(self, text: str, hint: str) -> Dim | None:
        """Return a dim for ``text``, which the file declares for a value that is not an input."""
        if text not in self._dims and not _MEANINGLESS.fullmatch(text):
            self._declare_texts([text])
        found = self._dims.get(text)
        return self.fresh(hint) if found is None else self._evaluated(found)

    # ------------------------------------------------------------------------------- what is bound

    def bind(
        self, binding: Binding, names: Sequence[str], shapes: Sequence[Shape | None]
    ) -> list[Shape | None]:
        """Return ``shapes`` of the inputs called ``names`` with the user's sizes.

        Raises UsageError if the sizes do not fit.
        """
        for name, size in binding.dims.items():
            self._bind_name(name, _checked(size, name))
        if binding.batch is not None:
            self._bind_batch(_checked(binding.batch, "batch"), names, shapes)
        found = dict(zip(names, shapes, strict=True))
        for name, sizes in binding.shapes.items():
            if name not in found:
                raise UsageError(f"the model has no input {shown(name)}", did_you_mean(name, names))
            found[name] = self._bind_shape(name, found[name], sizes)
        return [
            None if shape is None else tuple(self._evaluated(dim) for dim in shape)
            for shape in found.values()
        ]

    def check_all_used(self) -> None:
        """Raise UsageError if a name that the user gives a size is no name of a dim."""
        for name in self._asked:
            if name not in self._used:
                known = {*self._by_text, *self._taken} - set(self._asked)
                fixed = (
                    "every size of this model is fixed; --shape NAME:1x3x224x224 sets whole shapes"
                )
                hint = did_you_mean(name, known) if known else fixed
                raise UsageError(f"no dim is called {shown(name)}", hint)

    def _bind_name(self, name: str, size: int) -> None:
        for identifier in self._by_text.get(name, [name] if name in self._taken else []):
            self._used.add(name)
            self._set(identifier, size, f"--dim {name}")
        dim = self._dims.get(name)
        if isinstance(dim, Expr) and name not in self._used:
            parts = ", ".join(f"--dim {self.originals.get(part, part)}=…" for part in symbols(dim))
            raise UsageError(f"{shown(name)} is a formula", f"give its parts: {parts}")

    def _bind_batch(self, size: int, names: Sequence[str], shapes: Sequence[Shape | None]) -> None:
        first = {name: shape[0] for name, shape in zip(names, shapes, strict=True) if shape}
        open_ = {name: dim for name, dim in first.items() if isinstance(dim, Expr)}
        if not open_:
            if first and all(dim == size for dim in first.values()):
                return
            fixed = ", ".join(f"{shown(name)} has {dim}" for name, dim in list(first.items())[:3])
            raise UsageError(
                f"the batch of this model is fixed: {fixed or 'no input has dims'}",
                "give whole shapes with --shape, or export the model with a dynamic batch",
            )
        candidates = {
            identifier
            for dim in open_.values()
            for identifier in [str(dim)]
            if identifier in self._taken
        }
        named = {each for each in candidates if "batch" in self._original(each).lower()}
        for identifier in named or candidates:
            self._set(identifier, size, "--batch")
        if not candidates:
            formula = next(iter(open_.values()))
            raise UsageError(
                f"the batch of this model is the formula {formula}", "give its parts with --dim"
            )

    def _bind_shape(self, name: str, shape: Shape | None, sizes: tuple[int, ...]) -> Shape:
        for size in sizes:
            _checked(size, name)
        if shape is None:
            return sizes
        if len(shape) != len(sizes):
            raise UsageError(
                f"{shown(name)} has {len(shape)} dims, --shape gives {len(sizes)}",
                f"the file says {'x'.join(str(dim) for dim in shape)}",
            )
        for dim, size in zip(shape, sizes, strict=True):
            if isinstance(dim, Expr) and str(dim) in self._taken:
                self._set(str(dim), size, f"--shape {name}")
        for axis, (dim, size) in enumerate(zip(shape, sizes, strict=True)):
            found = self._evaluated(dim)
            if isinstance(found, int) and found != size:
                what = "the file" if isinstance(dim, int) else f"{dim} = {found}"
                self.notes.append(
                    f"--shape overrides axis {axis} of input {shown(name)}: {size}, not {found} "
                    f"({what})"
                )
        return sizes

    def _set(self, identifier: str, size: int, by: str) -> None:
        if self._sizes.setdefault(identifier, size) != size:
            raise UsageError(
                f"{by} makes {shown(self._original(identifier))} {size}, but it is "
                f"{self._sizes[identifier]} already",
                "one dim has one size: give it once",
            )

    # --------------------------------------------------------------------------------- identifiers

    def _declare_texts(self, texts: Iterable[str]) -> None:
        wanted = [text for text in dict.fromkeys(texts) if not _MEANINGLESS.fullmatch(text)]
        formulas: list[tuple[str, Expr]] = []
        for text in wanted:
            formula = _formula(text)
            if isinstance(formula, int):
                self._dims[text] = formula
            elif formula is not None and str(formula) == text.strip() and text.isidentifier():
                self._keep(text, text)
            elif formula is not None:
                formulas.append((text, formula))
        for text, formula in formulas:
            # "batch-size" is a name, unless the file also has dims called batch and size.
            if _HYPHENATED.fullmatch(text) and not symbols(formula) <= self._dims.keys():
                continue
            for part in sorted(symbols(formula) - self._dims.keys()):
                self._keep(part, part)
            self._dims[text] = formula
        for text in wanted:
            if text not in self._dims:
                self._keep(text, self._unique(text))

    def _keep(self, text: str, identifier: str) -> None:
        self._taken.add(identifier)
        self._by_text.setdefault(text, []).append(identifier)
        self._dims.setdefault(text, symbol(identifier))
        if text != identifier:
            self.originals[identifier] = text
        for name in (text, identifier):
            if name in self._asked:
                self._used.add(name)
                self._set(identifier, _checked(self._asked[name], name), f"--dim {name}")

    def _shape(self, value: ValueInfoProto) -> Shape | None:
        if not value.type.tensor_type.HasField("shape"):
            return None
        dims: list[Dim] = []
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value >= 0:
                dims.append(int(dim.dim_value))
            elif dim.dim_param in self._dims:
                dims.append(self._dims[dim.dim_param])
            else:
                made = self._new(f"{value.name}_{axis}")
                dims.append(symbol(made))
                if dim.dim_param:
                    self._by_text.setdefault(dim.dim_param, []).append(made)
        return tuple(dims)

    def _new(self, hint: str) -> str:
        identifier = self._unique(hint)
        self._taken.add(identifier)
        return identifier

    def _unique(self, text: str) -> str:
        base = _NOT_IN_IDENTIFIERS.sub("_", text[:_LONGEST]).strip("_")
        if not base or base[0].isdigit() or not _is_symbol(base):
            base = f"d_{base}".rstrip("_")
        identifier, count = base, 1
        while identifier in self._taken or identifier in self._dims:
            count += 1
            identifier = f"{base}_{count}"
        return identifier

    def _original(self, identifier: str) -> str:
        return self.originals.get(identifier, identifier)

    def _bound(self, identifier: str) -> Dim:
        if identifier in self._asked:
            self._used.add(identifier)
            return _checked(self._asked[identifier], identifier)
        return symbol(identifier)

    def _evaluated(self, dim: Dim | None) -> Dim | None:
        if not isinstance(dim, Expr):
            return dim
        try:
            found = evaluate(dim, self._sizes)
        except (ZeroDivisionError, ValueError, TooComplex):
            found = -1
        if isinstance(found, int) and not 0 <= found <= MAX_SIZE**2:
            raise UsageError(f"with the sizes given, the dim {dim} is none", "give other sizes")
        return found


def _formula(text: str) -> Dim | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _is_symbol(text: str) -> bool:
    try:
        symbol(text)
    except ValueError:
        return False
    return True


def _checked(size: int, name: str) -> int:
    if not 0 <= size <= MAX_SIZE:
        raise UsageError(
            f"{shown(name)} cannot have the size {size}", f"sizes are 0 to {MAX_SIZE:,}"
        )
    return size
