"""The worker bundle: a folder, named by content hash, that holds all that a worker imports.

Every worker is started from one, the local one too: the same bytes run in any interpreter that
has numpy and a runtime, and onnxbench need not be installed there. Its hash is recorded, for it
names the code that measured.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable

MODULES = tuple(
    f"{name}.py"
    for name in ("__init__", "adapting", "errors", "protocols", "sources", "text", "types")
)
MEASURING = ("onnxbench.worker", "onnxbench.probes", "onnxbench.runtimes")
EXPORTING = ("onnxbench.worker", "onnxbench.exporters")
MAIN = "from onnxbench.worker.{module} import main\n\nmain()\n"


def contents(adapter_module: str, exporter_module: str = "") -> dict[str, bytes]:
    """Return relative path → bytes of the bundle that measures with ``adapter_module``.

    A third-party adapter brings the whole of its own top-level package along. With
    ``exporter_module`` the exporters, and that one's package, are carried too: the adapter runs
    the network that it builds.
    """
    if not exporter_module:
        return _contents((adapter_module,), MEASURING, "main")
    packages = tuple(dict.fromkeys((*MEASURING, *EXPORTING)))
    return _contents((adapter_module, exporter_module), packages, "main")


def exporter_contents(exporter_module: str) -> dict[str, bytes]:
    """Return relative path → bytes of the bundle that exports with ``exporter_module``."""
    return _contents((exporter_module,), EXPORTING, "converting")


def _contents(
    plugin_modules: Sequence[str], packages: Sequence[str], main: str
) -> dict[str, bytes]:
    core = resources.files("onnxbench")
    files = {f"onnxbench/{name}": (core / name).read_bytes() for name in MODULES}
    for package in packages:
        files.update(_sources(resources.files(package), package.replace(".", "/")))
    for top in {module.partition(".")[0] for module in plugin_modules} - {"onnxbench"}:
        files.update(_package_or_module(top))
    files["__main__.py"] = MAIN.format(module=main).encode()
    return files


def fingerprint(files: dict[str, bytes]) -> str:
    """Return the SHA-256 over names and contents of a bundle."""
    hasher = hashlib.sha256()
    for name, data in sorted(files.items()):
        hasher.update(f"{name}\0{len(data)}\0".encode())
        hasher.update(data)
    return hasher.hexdigest()


def materialize(files: dict[str, bytes], cache: Path) -> Path:
    """Return the folder of the bundle below ``cache``, written if it is not there unchanged.

    The folder is the user's alone (0700) and is checked against the wanted bytes each time:
    it is code that will be run.
    """
    folder = cache / "bundles" / fingerprint(files)[:20]
    if _is_intact(folder, files):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
    for name, data in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    try:
        fresh.rename(folder)
    except OSError:  # another process was faster, or what lies there was tampered with
        if _is_intact(folder, files):
            shutil.rmtree(fresh)
        else:
            aside = Path(tempfile.mkdtemp(prefix="bad-", dir=folder.parent))
            folder.rename(aside / folder.name)  # a link or a file goes the same way
            fresh.rename(folder)
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def cache_folder() -> Path:
    """Return the user's cache folder for onnxbench (``ONNXBENCH_CACHE``, then the platform's)."""
    chosen = os.environ.get("ONNXBENCH_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "onnxbench"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "onnxbench"


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry, f"{prefix}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{prefix}/{entry.name}", entry.read_bytes()


def _package_or_module(name: str) -> Iterator[tuple[str, bytes]]:
    import importlib.util  # noqa: PLC0415 - only third-party adapters need it

    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return
    if spec.submodule_search_locations:
        yield from _sources(resources.files(name), name)
    else:
        yield f"{name}.py", Path(spec.origin).read_bytes()


def _is_intact(folder: Path, files: dict[str, bytes]) -> bool:
    """Tell whether ``folder`` holds ``files`` and, Python's own cache aside, nothing else.

    A file too many can be worse than one that was changed: it may shadow a module.
    """
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.parent.name != "__pycache__" and (path.is_symlink() or not path.is_dir())
    }
    try:
        return found == set(files) and all(
            (folder / name).read_bytes() == data for name, data in files.items()
        )
    except OSError:
        return False
