"""A command line broken so that it fits a width and still pastes into a shell as one command."""

from __future__ import annotations

import shlex

from rich.cells import cell_len

from onnxbench.text import safe_text

LIMIT = 8000
"""Characters of a command that are shown; a longer one is none that anybody pastes."""


def pasteable(command: str, width: int) -> str:
    r"""Return ``command`` in lines of at most ``width`` cells, continued by backslashes.

    Words move to the next line whole; a word that is longer than a line is continued at the very
    beginning of the next one, which a POSIX shell reads as one word. Text that is no shell command
    comes back on one line.
    """
    command = safe_text(command, LIMIT)
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    lines = [""]
    for word in words:
        quoted = shlex.quote(word)
        joined = f"{lines[-1]} {quoted}" if lines[-1] else quoted
        if cell_len(joined) <= width - 2:  # room for " \"
            lines[-1] = joined
        elif cell_len(quoted) <= width - 4:
            lines[-1] += " \\"
            lines.append(f"  {quoted}")
        else:
            lines[-1] += " \\"
            pieces = [shlex.quote(piece) for piece in _pieces(word, width - 4)]
            lines += [f"{piece}\\" for piece in pieces[:-1]] + pieces[-1:]
    return "\n".join(lines)


def _pieces(word: str, width: int) -> list[str]:
    """Cut ``word`` so that each piece, quoted, takes at most ``width`` cells."""
    pieces = [""]
    for char in word:
        if pieces[-1] and cell_len(shlex.quote(pieces[-1] + char)) > width:
            pieces.append("")
        pieces[-1] += char
    return pieces
