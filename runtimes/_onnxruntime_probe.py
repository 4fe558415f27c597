"""What is there for a provider of ONNX Runtime, found in files: nothing is imported or loaded."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import mmap
import os
import platform
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbench.types import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile

_DRIVER_FOLDERS = (
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/run/opengl-driver/lib",
)


def capability(profile: ProviderProfile) -> Capability:
    """Say whether this interpreter has ``profile``'s provider, and if not, what to type."""
    if why := _impossible(profile):
        reason, hint = why
        return Capability(
            profile.name,
            available=False,
            reason=reason,
            hint=hint,
            possible=False,
            unverified=profile.unverified,
        )
    distribution, version = installed_build()
    if profile.plugin and distribution is not None:
        distribution, version = _plugin(profile)
    if distribution is None or not _has_provider(profile, distribution):
        return Capability(
            profile.name,
            available=False,
            reason=_absence(profile, distribution),
            hint=install_hint(profile),
            possible=not profile.symbol,  # no package has it
            unverified=profile.unverified,
        )
    return Capability(
        profile.name,
        available=True,
        version=version,
        distribution=distribution,
        unverified=profile.unverified,
    )


def install_hint(profile: ProviderProfile) -> str:
    """Return what to type to get the provider."""
    if profile.environment:
        return f"onnxbench install {profile.environment}"
    if profile.symbol:
        return f"use a build of ONNX Runtime with {profile.provider}; no wheel has it"
    if profile.any_build:
        return "pip install 'onnxbench[cpu]'"
    return f"pip install {profile.distributions[0]}, in an environment without other builds of it"


def installed_build() -> tuple[str | None, str | None]:
    """Return distribution and version of the module ``onnxruntime`` that Python would import.

    Several distributions install that module over one another; the module's own build file says
    which of them was the last. Older builds have no such file: then the metadata has to do.
    """
    info = _build_info()
    if "package_name" in info and "__version__" in info:
        return info["package_name"], info["__version__"]
    if _package_folder() is None:
        return None, None
    for name in importlib.metadata.packages_distributions().get("onnxruntime", []):
        return name, importlib.metadata.version(name)
    return None, None


def missing_libraries(profile: ProviderProfile) -> list[str]:
    """Return those of the provider's libraries that cannot be loaded. Loads them: worker only."""
    major = _build_info().get("cuda_version", "").partition(".")[0]
    return [
        name
        for name in (library.format(cuda=major) for library in profile.libraries)
        if not _loads(name)
    ]


def wrong_machine(profile: ProviderProfile) -> tuple[str, str] | None:
    """Return reason and hint where system or processor are not the provider's."""
    system, machine = platform.system(), platform.machine()
    if profile.systems and system not in profile.systems:
        wanted = " or ".join(profile.systems)
        return f"{profile.provider} needs {wanted}, this is {system}", "use another runtime"
    if profile.machines and machine.lower() not in profile.machines:
        wanted = " or ".join(profile.machines)
        return f"{profile.name} needs an {wanted} processor, this is {machine}", "use --runtime cpu"
    return None


@cache
def has_nvidia_driver() -> bool:
    """Tell whether the library of NVIDIA's driver is where the loader looks for it."""
    if sys.platform == "win32":
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        return Path(root, "System32", "nvcuda.dll").exists()
    try:
        if b"libcuda.so.1\0" in Path("/etc/ld.so.cache").read_bytes():
            return True
    except OSError:
        pass  # no glibc: the folders below have to do
    searched = [*os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep), *_DRIVER_FOLDERS]
    return any(Path(folder, "libcuda.so.1").exists() for folder in searched if folder)


def _impossible(profile: ProviderProfile) -> tuple[str, str] | None:
    """Return reason and hint where no package could help."""
    if why := wrong_machine(profile):
        return why
    if profile.nvidia and not has_nvidia_driver():
        reason = f"{profile.provider} needs NVIDIA's driver; libcuda.so.1 is not on this machine"
        return reason, "install the driver of an NVIDIA GPU, or use --runtime cpu"
    if profile.device_file and not Path(profile.device_file).exists():
        reason = f"{profile.provider} needs {profile.device_file}, which this machine has not"
        return reason, "install the device's driver, or use --runtime cpu"
    return None


def _plugin(profile: ProviderProfile) -> tuple[str | None, str | None]:
    if importlib.util.find_spec(profile.plugin) is None:
        return None, None
    names = importlib.metadata.packages_distributions().get(profile.plugin, [])
    for name in names:
        return name, importlib.metadata.version(name)
    return profile.distributions[0], None


def _has_provider(profile: ProviderProfile, distribution: str) -> bool:
    if profile.any_build or profile.plugin:
        return True
    if profile.symbol:
        return any(_contains(library, profile.symbol) for library in _libraries())
    return _normal(distribution) == profile.distributions[0]


def _absence(profile: ProviderProfile, distribution: str | None) -> str:
    wanted = profile.distributions[0]
    if profile.symbol and distribution is not None:
        return f"the installed {distribution} was built without {profile.provider}"
    if distribution is not None and not profile.plugin:
        return f"the module onnxruntime here is that of {distribution}, not of {wanted}"
    return f"the package {wanted} is not installed"


def _package_folder() -> Path | None:
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _build_info() -> dict[str, str]:
    """Return the names and values in the file that the build of ONNX Runtime left behind."""
    folder = _package_folder()
    if folder is None:
        return {}
    try:
        text = (folder / "capi" / "build_and_package_info.py").read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(re.findall(r"^(\w+) = '([\w.+-]+)'$", text, re.MULTILINE))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _libraries() -> Iterator[Path]:
    folder = _package_folder()
    if folder is not None:
        yield from (folder / "capi").glob("*onnxruntime*.*")


def _contains(path: Path, wanted: bytes) -> bool:
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return content.find(wanted) >= 0
    except (OSError, ValueError):  # not to be read, or empty
        return False


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
