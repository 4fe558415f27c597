"""Control groups, version 1, version 2 and both at once: where the limits of this process stand.

A limit holds for a group and all below it, so it is looked for from the process's own group up to
the mount point: `man 7 cgroups`, Linux Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onnxbench.probes.kernel import LIVE, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator


def folders(controller: str, kernel: Kernel = LIVE) -> Iterator[str]:
    """Yield the folders of our group for ``controller`` (cpu, memory), innermost first.

    On a hybrid machine both hierarchies are given; the one that does not hold the controller
    simply lacks its files. Inside a container the path of ``/proc/self/cgroup`` may name folders
    that only the host can see: then the mount point, which is the container's own group, remains.
    """
    groups = _groups(controller, kernel)
    for version, root, mount in _mounts(controller, kernel):
        path = groups.get(version)
        if path is None:
            continue
        inside = path[len(root.rstrip("/")) :] if _below(path, root) else "/"
        parts = [part for part in inside.split("/") if part and part != ".."]
        for depth in range(len(parts), -1, -1):
            yield "/".join([mount.rstrip("/"), *parts[:depth]])


def _groups(controller: str, kernel: Kernel) -> dict[int, str]:
    """Return version → our group's path, from lines ``id:controllers:path``."""
    groups: dict[int, str] = {}
    for line in (kernel.text("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            groups[2] = path
        elif controller in names.split(","):
            groups[1] = path
    return groups


def _mounts(controller: str, kernel: Kernel) -> Iterator[tuple[int, str, str]]:
    """Yield (version, root within the hierarchy, mount point), from `man 5 proc_pid_mountinfo`."""
    for line in (kernel.text("/proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, source = left.split(), right.split()
        if len(fields) < 5 or len(source) < 3:
            continue
        root, mount = _unescape(fields[3]), _unescape(fields[4])
        if source[0] == "cgroup2":
            yield 2, root, mount
        elif source[0] == "cgroup" and controller in source[2].split(","):
            yield 1, root, mount


def _unescape(text: str) -> str:
    # The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
