"""An aarch64 root file system whose programs run here under qemu-user: an emulated ARM board.

What it is good for: whether everything works there. What it is not: any figure of time. It needs
root, binfmt_misc and mount namespaces; ``mmdebstrap`` and ``qemu-user-static`` are Debian packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[2]
PROCESSOR = "cortex-a72"
PACKAGES = (
    "base-files", "base-passwd", "bash", "dash", "coreutils", "libc-bin", "libstdc++6", "python3",
    "procps", "util-linux", "hostname", "grep", "sed", "findutils", "ca-certificates",
)  # fmt: skip
RELEASE = "bookworm"
PYTHON = "3.11"
"""The Python of that release."""

# Each tag has to be named: a newer one does not imply the older.
TAGS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
HANDLER = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")

CPUINFO = "".join(
    f"processor\t: {number}\nBogoMIPS\t: 108.00\n"
    "Features\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
    "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    for number in range(2)
)
"""What a Cortex-A72 says. ONNX Runtime reads it at import, and crashes on the host's."""


def missing() -> str:
    """Return what this machine lacks for such a board, "" if nothing."""
    if sys.platform != "linux" or os.uname().machine == "aarch64":
        return "a Linux host that is not aarch64 itself"
    if os.geteuid() != 0:
        return "root, for mounts and binfmt_misc"
    lacking = [tool for tool in ("mmdebstrap", "unshare", "chroot") if shutil.which(tool) is None]
    if not HANDLER.exists():
        lacking.append("qemu-user-static")
    return f"the programs {', '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class Board:
    """The root file system in ``root``."""

    root: Path

    def run(
        self, argv: Sequence[str], *, cwd: str = "/root", seconds: float = 240.0
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on the board, in mounts of its own that go with it."""
        script = f"""
set -e
mount -t proc proc {self.root}/proc
mount --bind {self.root}/etc/cpuinfo {self.root}/proc/cpuinfo
cd {self.root}
exec chroot {self.root} /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root \\
    LANG=C.UTF-8 QEMU_CPU={PROCESSOR} ORT_DISABLE_TELEMETRY=1 NO_COLOR=1 \\
    /bin/sh -c 'cd "$0" && exec "$@"' {cwd} "$@"
"""
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "bash", *argv],
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip


def build(folder: Path, *wheels: str) -> Board:
    """Make the board in ``folder`` with onnxbench as it is here, what it needs, and ``wheels``."""
    root = folder / "board"
    _register()
    _call("mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract",
          "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", f"--include={','.join(PACKAGES)}",
          RELEASE, str(root))  # fmt: skip
    for name in ("passwd", "group"):  # what maintainer scripts would have done
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/cpuinfo").write_text(CPUINFO)
    for number, name in ((3, "null"), (5, "zero"), (8, "random"), (9, "urandom")):
        device = root / "dev" / name
        if not device.exists():
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, number))
            device.chmod(0o666)
    cpu = root / "sys/devices/system/cpu"
    cpu.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present", "online"):
        (cpu / name).write_text("0-1\n")
    _install(folder, root, wheels)
    return Board(root)


def _install(folder: Path, root: Path, wheels: Sequence[str]) -> None:
    """Put onnxbench, what it depends on and ``wheels`` into the board's Python."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    flags = [f"--platform={tag}_aarch64" for tag in TAGS]
    flags += ["--only-binary=:all:", f"--python-version={PYTHON}"]
    ours, theirs = folder / "ours", folder / "theirs"
    _call(*pip, "wheel", "-q", "--no-deps", "-w", str(ours), str(REPOSITORY))
    own = str(next(ours.glob("*.whl")))
    _call(*pip, "download", "-q", "-d", str(theirs), *flags, own, *wheels,
          "-c", str(REPOSITORY / "constraints.txt"))  # fmt: skip
    packages = root / f"usr/local/lib/python{PYTHON}/dist-packages"
    # Without the last flag pip checks the Python that runs it.
    _call(*pip, "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target",
          str(packages), *flags, "--ignore-requires-python",
          *map(str, sorted(theirs.glob("*.whl"))))  # fmt: skip


def _register() -> None:
    """Let the kernel start aarch64 programs through qemu, also within a chroot (flag F)."""
    if not (BINFMT / "register").exists():
        _call("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
    if not (BINFMT / "qemu-aarch64").exists():
        # The kernel reads the \\x escapes of the line itself.
        (BINFMT / "register").write_bytes(HANDLER.read_bytes().strip())


def _call(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}"
        raise RuntimeError(message)
