from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onnxbench.probes import cgroup, cpu, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxbench.probes.kernel import Kernel

    Tree = Callable[[Mapping[str, str | bytes]], Kernel]

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 23 0:29 {root} /sys/fs/cgroup/{name} rw,nosuid - cgroup cgroup rw,{options}"
GROUP = "/sys/fs/cgroup"


def v1(name: str, options: str, root: str = "/") -> str:
    return V1.format(name=name, options=options, root=root)


def test_every_group_from_ours_up_to_the_mount_is_asked(tree: Tree) -> None:
    kernel = tree({"/proc/self/cgroup": "0::/a/b", "/proc/self/mountinfo": V2})
    assert list(cgroup.folders("cpu", kernel)) == [f"{GROUP}/a/b", f"{GROUP}/a", GROUP]


def test_the_tightest_quota_of_nested_groups_holds(tree: Tree) -> None:
    kernel = tree(
        {
            "/proc/self/cgroup": "0::/slice/pod/container",
            "/proc/self/mountinfo": V2,
            f"{GROUP}/slice/pod/container/cpu.max": "max 100000",
            f"{GROUP}/slice/pod/cpu.max": "150000 100000",
            f"{GROUP}/slice/cpu.max": "800000 100000",
        }
    )
    assert cpu.cgroup_cpu_quota(kernel) == pytest.approx(1.5)


def test_version_1_quota_and_no_quota(tree: Tree) -> None:
    files = {
        "/proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc",
        "/proc/self/mountinfo": v1("cpu,cpuacct", "cpu,cpuacct"),
        f"{GROUP}/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000",
        f"{GROUP}/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
        f"{GROUP}/cpu,cpuacct/cpu.cfs_quota_us": "-1",
        f"{GROUP}/cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    assert cpu.cgroup_cpu_quota(tree(files)) == pytest.approx(2.5)
    files[f"{GROUP}/cpu,cpuacct/docker/abc/cpu.cfs_quota_us"] = "-1"
    assert cpu.cgroup_cpu_quota(tree(files)) is None


def test_a_container_that_sees_only_its_own_group(tree: Tree) -> None:
    # Docker on version 1: the path is the host's, the mount shows our group as its root.
    kernel = tree(
        {
            "/proc/self/cgroup": "4:cpu:/docker/abc",
            "/proc/self/mountinfo": v1("cpu", "cpu", root="/docker/abc"),
            f"{GROUP}/cpu/cpu.cfs_quota_us": "50000",
            f"{GROUP}/cpu/cpu.cfs_period_us": "100000",
        }
    )
    assert list(cgroup.folders("cpu", kernel)) == [f"{GROUP}/cpu"]
    assert cpu.cgroup_cpu_quota(kernel) == pytest.approx(0.5)


def test_a_neighbour_with_the_same_prefix_is_not_above_us(tree: Tree) -> None:
    kernel = tree(
        {
            "/proc/self/cgroup": "4:cpu:/docker/abcdef",
            "/proc/self/mountinfo": v1("cpu", "cpu", root="/docker/abc"),
        }
    )
    assert list(cgroup.folders("cpu", kernel)) == [f"{GROUP}/cpu"]


def test_a_path_outside_the_namespace_does_not_leave_the_mount(tree: Tree) -> None:
    kernel = tree({"/proc/self/cgroup": "0::/../../other", "/proc/self/mountinfo": V2})
    assert all(
        folder.startswith(GROUP) and ".." not in folder for folder in cgroup.folders("cpu", kernel)
    )


def test_a_hybrid_machine_asks_both_versions(tree: Tree) -> None:
    kernel = tree(
        {
            "/proc/self/cgroup": "4:memory:/job\n0::/",
            "/proc/self/mountinfo": v1("memory", "memory") + "\n" + V2.replace("group ", "group2 "),
            f"{GROUP}/memory/job/memory.limit_in_bytes": "1000000",
            f"{GROUP}/memory/job/memory.usage_in_bytes": "400000",
            f"{GROUP}/memory/memory.limit_in_bytes": "9223372036854771712",
        }
    )
    assert memory.cgroup_limit_bytes(kernel) == 1_000_000
    assert memory.available_bytes(kernel) == 600_000


def test_a_mount_point_with_a_blank(tree: Tree) -> None:
    kernel = tree(
        {
            "/proc/self/cgroup": "0::/",
            "/proc/self/mountinfo": V2.replace(GROUP, "/my\\040groups"),
            "/my groups/cpu.max": "200000 100000",
        }
    )
    assert cpu.cgroup_cpu_quota(kernel) == pytest.approx(2)


@pytest.mark.parametrize(
    "garbage", ["", "max", "x y", "100000 0", "0 100000", "-5 10", "1e5 1e5", "\xff\xfe"]
)
def test_garbage_is_no_quota(tree: Tree, garbage: str) -> None:
    kernel = tree(
        {
            "/proc/self/cgroup": "0::/",
            "/proc/self/mountinfo": V2,
            f"{GROUP}/cpu.max": garbage,
        }
    )
    assert cpu.cgroup_cpu_quota(kernel) is None


@pytest.mark.parametrize("mounts", ["", "garbage", " - cgroup2", "1 2 3 4 5 - cgroup2", "\0\0"])
def test_garbled_mounts_are_no_groups(tree: Tree, mounts: str) -> None:
    kernel = tree({"/proc/self/cgroup": "0::/a", "/proc/self/mountinfo": mounts})
    assert list(cgroup.folders("cpu", kernel)) == []


def test_a_machine_without_groups(nowhere: Kernel) -> None:
    assert list(cgroup.folders("memory", nowhere)) == []
    assert cpu.cgroup_cpu_quota(nowhere) is None
    assert memory.cgroup_limit_bytes(nowhere) is None
