"""The files through which Linux tells of itself: ``/proc`` and ``/sys`` under a root.

All probes take a `Kernel`, so that a test, or a report from another machine, can hand them a
copied tree. A file that is missing, forbidden or garbled reads as ``None``: on macOS and Windows
that is every file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's files below ``root``. Paths are absolute, as in the manual pages."""

    root: str = ""

    def text(self, path: str) -> str | None:
        """Return the stripped content of one file, None when it cannot be read."""
        try:
            with open(self.root + path, "rb") as file:
                return file.read().decode("utf-8", "replace").strip("\0 \t\r\n")
        except (OSError, ValueError):
            return None

    def integer(self, path: str) -> int | None:
        """Return a file that holds one decimal number."""
        return whole_number(self.text(path))

    def table(self, path: str) -> dict[str, int]:
        """Return a file of ``name value`` or ``Name:  value kB`` lines; kB become bytes.

        Lines of any other form are left out, so an unreadable file is an empty table.
        """
        rows: dict[str, int] = {}
        for line in (self.text(path) or "").splitlines():
            fields = line.replace(":", " ").split()
            value = whole_number(fields[1]) if len(fields) in (2, 3) else None
            if value is not None:
                rows[fields[0]] = value * 1024 if fields[2:] == ["kB"] else value
        return rows

    def entry(self, path: str, name: str) -> int | None:
        """Return one line of `table`; cheaper, for the files that are read while measuring."""
        text = "\n" + (self.text(path) or "")
        found = re.search(rf"\n{re.escape(name)}[: \t]+(\d+)( kB)?(?:\n|$)", text)
        return int(found[1]) * (1024 if found[2] else 1) if found else None

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; empty when there is none."""
        try:
            return sorted(os.listdir(self.root + path))
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Say whether there is a file or folder at ``path``."""
        return os.path.exists(self.root + path)

    def link(self, path: str) -> str | None:
        """Return where a symbolic link points."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return None

    def write(self, path: str, text: str) -> bool:
        """Write to a control file; False when the kernel refuses."""
        try:
            with open(self.root + path, "wb", buffering=0) as file:
                file.write(text.encode())
        except OSError:
            return False
        return True


LIVE = Kernel()
"""The machine we run on."""


def whole_number(text: str | None) -> int | None:
    """Return ``text`` as an integer, None when it is no decimal number."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def cpu_list(text: str | None) -> tuple[int, ...]:
    """Return the CPUs of a kernel list such as ``0-3,8,10-11``; empty when it is garbled."""
    cpus: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        low, high = whole_number(first), whole_number(last or first)
        if low is None or high is None or not 0 <= low <= high < 1 << 16:
            return ()
        cpus.extend(range(low, high + 1))
    return tuple(cpus)


def format_cpus(cpus: tuple[int, ...]) -> str:
    """Return CPUs as the kernel and taskset write them: ``0-3,8``. Inverse of `cpu_list`."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
