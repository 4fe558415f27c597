from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from onnxbench.probes import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

MB = 1 << 20
V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"


def known(value: int | None) -> int:
    assert value is not None
    return value


def resident(size: int) -> mmap.mmap:
    """Return an anonymous mapping with every page touched; closing it gives all of it back."""
    block = mmap.mmap(-1, size)
    for offset in range(0, size, mmap.PAGESIZE):
        block[offset] = 1
    return block


def test_rss_is_what_psutil_says() -> None:
    assert memory.rss_bytes() == pytest.approx(psutil.Process().memory_info().rss, abs=4 * MB)


def test_uss_and_pss_are_what_psutil_says() -> None:
    found = memory.uss_pss_bytes()
    assert found
    uss, pss = found
    full = psutil.Process().memory_full_info()
    assert uss == pytest.approx(full.uss, abs=4 * MB)
    assert pss == pytest.approx(full.pss, abs=4 * MB)
    assert uss <= pss


def test_the_peak_stays_until_it_is_reset() -> None:
    before = known(memory.rss_bytes())
    block = resident(100 * MB)
    assert known(memory.rss_bytes()) - before > 90 * MB
    block.close()
    assert known(memory.rss_bytes()) - before < 10 * MB
    assert known(memory.peak_rss_bytes()) - before > 90 * MB
    assert memory.reset_peak()
    assert known(memory.peak_rss_bytes()) - before < 10 * MB


def test_reading_does_not_reset() -> None:
    block = resident(50 * MB)
    memory.reset_peak()
    block.close()
    peak = known(memory.peak_rss_bytes())
    assert memory.peak_rss_bytes() == peak
    assert peak - known(memory.rss_bytes()) > 40 * MB


def test_available_memory_of_this_machine() -> None:
    # Other processes come and go; a cgroup limit can only lower ours.
    assert 0 < known(memory.available_bytes()) <= psutil.virtual_memory().available + 512 * MB


def limited(tree: Tree, **files: str) -> Kernel:
    return tree(
        {
            "/proc/self/cgroup": "0::/job",
            "/proc/self/mountinfo": V2,
            "/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB",
            **{f"/sys/fs/cgroup/job/memory.{name}": text for name, text in files.items()},
        }
    )


def test_the_machine_bounds_what_is_available(tree: Tree) -> None:
    kernel = limited(tree, max="max", current="5")
    assert memory.available_bytes(kernel) == 4_000_000 * 1024
    assert memory.cgroup_limit_bytes(kernel) is None


def test_a_group_bounds_what_is_available(tree: Tree) -> None:
    kernel = limited(tree, max="1000000", current="700000", stat="inactive_file 100000\nfile 1")
    assert memory.available_bytes(kernel) == 400_000


def test_a_full_group_leaves_nothing(tree: Tree) -> None:
    assert memory.available_bytes(limited(tree, max="1000", current="1200")) == 0


def test_the_high_mark_bounds_too(tree: Tree) -> None:
    kernel = limited(tree, max="1000000", high="500000", current="100000")
    assert memory.available_bytes(kernel) == 400_000


def test_version_1_names(tree: Tree) -> None:
    folder = "/sys/fs/cgroup/memory/job/memory"
    kernel = tree(
        {
            "/proc/self/cgroup": "3:memory:/job",
            "/proc/self/mountinfo": "33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup c rw,memory",
            f"{folder}.limit_in_bytes": "1000000",
            f"{folder}.usage_in_bytes": "900000",
            f"{folder}.stat": "inactive_file 1\ntotal_inactive_file 200000",
        }
    )
    assert memory.available_bytes(kernel) == 300_000


def test_swap(tree: Tree) -> None:
    kernel = tree({"/proc/meminfo": "SwapTotal: 100 kB\nSwapFree: 75 kB"})
    assert memory.swap_bytes(kernel) == (100 * 1024, 25 * 1024)
    live = memory.swap_bytes()
    assert live
    assert live[0] == psutil.swap_memory().total


def test_oom_kills(tree: Tree) -> None:
    assert memory.oom_kills(tree({"/proc/vmstat": "nr_free_pages 1\noom_kill 7"})) == 7
    assert known(memory.oom_kills()) >= 0


@pytest.mark.parametrize("garbage", ["", "x", "1", "99999999999999999999999x", "\0\xff"])
def test_garbage_reads_as_nothing(tree: Tree, garbage: str) -> None:
    paths = ("statm", "status", "smaps_rollup", "cgroup", "mountinfo")
    kernel = tree(
        {f"/proc/self/{name}": garbage for name in paths}
        | {"/proc/meminfo": garbage, "/proc/vmstat": garbage}
    )
    assert memory.rss_bytes(kernel) is None
    assert memory.peak_rss_bytes(kernel) is None
    assert memory.uss_pss_bytes(kernel) is None
    assert memory.available_bytes(kernel) is None
    assert memory.swap_bytes(kernel) is None
    assert memory.oom_kills(kernel) is None


def test_a_machine_that_tells_nothing(nowhere: Kernel) -> None:
    assert memory.rss_bytes(nowhere) is None
    assert memory.peak_rss_bytes(nowhere) is None
    assert memory.uss_pss_bytes(nowhere) is None
    assert memory.available_bytes(nowhere) is None
    assert memory.oom_kills(nowhere) is None
    assert not memory.reset_peak(nowhere)


def test_probes_need_only_the_standard_library() -> None:
    # The worker bundle runs them on boards. -S leaves site-packages out, -I the rest.
    root = str(Path(memory.__file__).parents[2])
    code = (
        f"import sys; sys.path.append({root!r})\n"
        "from onnxbench.probes import cpu, host, load, memory, noise\n"
        "host.environment(); load.snapshot()\n"
        "known = sys.stdlib_module_names | {'onnxbench', '__main__'}\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - known))"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert (out.stdout.strip(), out.stderr) == ("[]", "")
