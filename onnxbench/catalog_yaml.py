"""A YAML file as plain values that remember where they stand, read as untrusted text.

No object construction, no aliases (a few lines of them unfold to gigabytes), no duplicate keys, no
NaN, and limits on size and depth. Every error is a CatalogError ``file:line:column: …``.

libyaml's scanner is used where PyYAML was built with it: it is several times as fast. What it
refuses is read again by PyYAML's own, so that the error is the same everywhere.
"""

from __future__ import annotations

import codecs
import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from onnxbench.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
MAX_DEPTH = 10
"""Deeper than any valid catalogue (7) and far below where Python's stack ends."""

KEY = "[key]"
"""At the end of a place: the key itself, not its value. As pydantic says it."""

Place = tuple[int | str, ...]
"""Keys and indices that lead to a value: ``("models", 3, "tags")``."""

Position = tuple[int, int]
"""Line and column, both from 1."""


class MarkedYaml:
    """The plain ``value`` of a file; `fail` points at any place in it."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._positions: dict[Place, Position] = {}
        try:
            self._loader, node = _composed(text)
            self.value = None if node is None else self._plain(node, ())
        except yaml.reader.ReaderError as error:
            problem = f"the character U+{ord(text[error.position]):04X} is not allowed"
            self._fail_at(_position(text, error.position), problem)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._fail_at(position, error.problem or "not YAML")
        if node is None:
            hint = "the least is: {version: 1, models: [{id: NAME, source: 'file:MODEL.onnx'}]}"
            self._fail_at((1, 1), "the file is empty", hint)

    @classmethod
    def read(cls, path: Path) -> MarkedYaml:
        """Read the file. Raises CatalogError."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise CatalogError(f"{path}: {reason}", "name another file with --models") from error
        if len(data) > MAX_BYTES:
            raise CatalogError(
                f"{path}:1:1: longer than {MAX_BYTES} bytes", "split it; --models names the part"
            )
        data = data.removeprefix(codecs.BOM_UTF8)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            before = data[: error.start].decode()
            line, column = _position(before, len(before))
            raise CatalogError(
                f"{path}:{line}:{column}: not UTF-8 text", "save the file as UTF-8"
            ) from error
        return cls(path, text)

    def place(self, loc: Place) -> Place:
        """Return ``loc`` without the parts that are not in the file, as pydantic's may hold."""
        place: Place = ()
        for part in loc:
            if (*place, part) in self._positions:
                place = (*place, part)
        return place

    def position(self, place: Place) -> Position:
        """Return where the value at ``place`` begins."""
        return self._positions[place]

    def fail(self, place: Place, problem: str, hint: str = "") -> NoReturn:
        """Raise CatalogError for the value at ``place``."""
        self._fail_at(self._positions[place], problem, hint)

    def _fail_at(self, position: Position, problem: str, hint: str = "") -> NoReturn:
        line, column = position
        raise CatalogError(f"{self._path}:{line}:{column}: {problem}", hint)

    def _plain(self, node: yaml.Node, place: Place) -> Any:
        """Return the node as plain values and note where each of them stands."""
        mark = node.start_mark
        self._positions[place] = (mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self._plain(child, (*place, i)) for i, child in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            self.fail(place, f"the tag {node.tag} is not allowed")
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:  # a date that cannot be, or a number of 5000 digits
            self.fail(place, str(error))
        if isinstance(value, float) and not float("-inf") < value < float("inf"):
            self.fail(place, "a number must be finite")
        return value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, mark = key_node.value, key_node.start_mark
            position = (mark.line + 1, mark.column + 1)
            if key_node.tag != "tag:yaml.org,2002:str":
                self._fail_at(position, "a key must be text", "put it in quotes")
            if key in result:
                line, _ = self.position((*place, key, KEY))
                problem = f"the key {key} stands here a second time"
                self._fail_at(position, problem, f"the first is in line {line}")
            self._positions[*place, key, KEY] = position
            result[key] = self._plain(value_node, (*place, key))
        return result


class _Checked(yaml.composer.Composer):
    """Refuses aliases and deep nesting while it composes the events of a scanner."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[attr-defined]
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not allowed"
        elif self.depth >= MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Loader(_Checked, yaml.SafeLoader):
    """On PyYAML's own scanner."""


if yaml.__with_libyaml__:

    class _FastLoader(_Checked, yaml.CSafeLoader):
        """On libyaml's scanner. Its parser can compose too, but would not ask `_Checked`."""

        def __init__(self, stream: str) -> None:
            yaml.CSafeLoader.__init__(self, stream)
            yaml.composer.Composer.__init__(self)


def _composed(text: str) -> tuple[yaml.constructor.SafeConstructor, yaml.Node | None]:
    """Return the nodes of ``text``, and what makes plain values of them. Raises YAMLError."""
    if yaml.__with_libyaml__:
        fast = _FastLoader(text)
        with contextlib.suppress(yaml.YAMLError):
            return fast, fast.get_single_node()
    loader = _Loader(text)
    return loader, loader.get_single_node()


def _position(text: str, index: int) -> Position:
    """Return the position of the character at ``index``."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
