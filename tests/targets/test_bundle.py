"""The bundle: the same bytes from any installation, checked each time, enough by itself."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
import threading
import venv
from pathlib import Path

import pytest

import onnxbench
from onnxbench.runtimes import onnxruntime as adapter
from onnxbench.targets import bundle
from onnxbench.targets.local import LocalTarget
from tests.targets.child import job, run

ADAPTER = adapter.__name__
PARTS = {"onnxbench": Path(onnxbench.__file__).parent, "runtimes": Path(adapter.__file__).parent}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return bundle.contents(ADAPTER)


def test_a_plain_copy_of_the_folders_makes_the_same_bundle(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    """As a wheel lays them out: runtimes inside onnxbench, no editable installation at hand."""
    shutil.copytree(PARTS["onnxbench"], tmp_path / "onnxbench")
    shutil.copytree(PARTS["runtimes"], tmp_path / "onnxbench" / "runtimes")
    source = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from onnxbench.targets.bundle import contents, fingerprint\n"
        f"print(fingerprint(contents({ADAPTER!r})))"
    )
    argv = [sys.executable, "-I", "-S", "-c", source, str(tmp_path)]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == bundle.fingerprint(files)


def test_the_fingerprint_covers_names_and_contents(files: dict[str, bytes]) -> None:
    name = "onnxbench/errors.py"
    changed = {**files, name: files[name] + b"\n"}
    renamed = {("x.py" if key == name else key): value for key, value in files.items()}
    moved = {"a": b"bc", "d": b""}, {"a": b"b", "d": b"c"}
    prints = [bundle.fingerprint(each) for each in (files, changed, renamed, *moved)]
    assert len(set(prints)) == len(prints)
    assert bundle.fingerprint(dict(reversed(files.items()))) == prints[0]


def test_only_what_a_worker_imports_is_carried(files: dict[str, bytes]) -> None:
    folders = {Path(name).parts[1] for name in files if name.count("/") > 1}
    assert folders == {"worker", "probes", "runtimes"}
    assert all(name.endswith(".py") for name in files)


def test_an_exporter_finds_all_of_ours_in_its_bundle() -> None:
    """An installation of onnxbench beside it would hide what is missing; environments have none."""
    carried = bundle.exporter_contents("onnxbench.exporters.timm")
    parents = {"onnxbench/exporters/onnx_light.py"}  # names files: never loaded in a child
    loaded = {"onnxbench/worker/converting.py", "onnxbench/worker/parity.py"} | {
        name for name in carried if name.startswith("onnxbench/exporters/")
    }
    for name in loaded - parents:
        for node in ast.walk(ast.parse(carried[name])):
            path = str(getattr(node, "module", "")).replace(".", "/")
            if isinstance(node, ast.ImportFrom) and path.startswith("onnxbench/"):
                assert {f"{path}.py", f"{path}/__init__.py"} & carried.keys(), f"{name}: {path}"


def test_only_what_runs_a_network_from_its_source_carries_exporters(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "foreign_exporter.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    added = set(bundle.contents(ADAPTER, "foreign_exporter")) - set(files)
    assert "onnxbench/exporters/timm.py" in added
    ours = {name for name in added if name.startswith("onnxbench/exporters/")}
    assert added - ours == {"foreign_exporter.py"}


def test_a_third_party_adapter_brings_its_own_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "foreign_runtime" / "deep"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "engine.py"):
        file.write_text("")
    (package / "data.bin").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    added = set(bundle.contents("foreign_runtime.deep.engine")) - set(bundle.contents(ADAPTER))
    assert added == {
        "foreign_runtime/__init__.py",
        "foreign_runtime/deep/__init__.py",
        "foreign_runtime/deep/engine.py",
    }
    assert set(bundle.contents("no_such_package.engine")) == set(bundle.contents(ADAPTER))


def modify(folder: Path) -> None:
    (folder / "onnxbench" / "errors.py").write_text("evil = True\n")


def remove(folder: Path) -> None:
    (folder / "onnxbench" / "errors.py").unlink()


def shadow(folder: Path) -> None:
    (folder / "numpy.py").write_text("evil = True\n")


def shadow_by_link(folder: Path) -> None:
    (folder / "numpy").symlink_to(folder / "onnxbench")


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("evil")


def become_a_link(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to("elsewhere")
    modify(folder)


@pytest.mark.parametrize(
    "tamper", [modify, remove, shadow, shadow_by_link, become_a_file, become_a_link]
)
def test_a_bundle_that_was_tampered_with_is_replaced(
    files: dict[str, bytes], tmp_path: Path, tamper: object
) -> None:
    folder = bundle.materialize(files, tmp_path)
    tamper(folder)  # type: ignore[operator]
    assert bundle.materialize(files, tmp_path) == folder
    everything = [folder, *folder.rglob("*")]
    assert not any(path.is_symlink() for path in everything)
    found = {p.relative_to(folder).as_posix(): p for p in everything if not p.is_dir()}
    assert {name: path.read_bytes() for name, path in found.items()} == files


def test_an_intact_bundle_is_used_as_it_is(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = bundle.materialize(files, tmp_path)
    cache = folder / "onnxbench" / "__pycache__"
    cache.mkdir()
    (cache / "errors.pyc").write_bytes(b"")  # what Python leaves there is no tampering
    inode = folder.stat().st_ino
    assert bundle.materialize(files, tmp_path).stat().st_ino == inode
    assert folder.parent.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


def test_many_at_once_agree_on_one_bundle_and_never_lose_it(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    folders: list[Path] = []
    missing: list[str] = []

    def make() -> None:
        folder = bundle.materialize(files, tmp_path)
        folders.append(folder)
        missing.extend(name for name in files if not (folder / name).is_file())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 8
    assert len(set(folders)) == 1
    assert missing == []
    assert [entry.name for entry in folders[0].parent.iterdir()] == [folders[0].name]


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(tmp_path))
    assert bundle.cache_folder() == tmp_path
    monkeypatch.delenv("ONNXBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bundle.cache_folder() == tmp_path / "onnxbench"


@pytest.fixture(scope="module")
def bare_interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has numpy and onnxruntime, and nothing else: no onnxbench, no onnx."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for module in ("numpy", "onnxruntime"):
        spec = importlib.util.find_spec(module)
        assert spec is not None
        origin = Path(str(spec.origin)).parent
        for part in (origin, origin.with_name(f"{origin.name}.libs")):
            if part.exists():
                (packages / part.name).symlink_to(part)
    return str(folder / "bin" / "python")


def test_a_worker_runs_where_only_numpy_and_the_runtime_are(
    bare_interpreter: str, cache: Path, identity_model: Path
) -> None:
    probe = "import importlib.util as u; print(u.find_spec('onnxbench'), u.find_spec('onnx'))"
    argv = [bare_interpreter, "-c", probe]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/").stdout
    assert printed.split() == ["None", "None"]
    target = LocalTarget(bare_interpreter, cache)
    for mode in ("facts", "timed"):
        result = run(target, job(f"{ADAPTER}:CPU", str(identity_model), mode=mode))
        assert (result.status, result.error) == ("ok", None), result
    assert len(result.samples) == 80


NEWER = {
    "datetime": {"UTC"},
    "typing": {
        "Self", "Never", "LiteralString", "Required", "NotRequired", "Unpack", "TypeVarTuple",
        "assert_never", "assert_type", "reveal_type", "dataclass_transform", "override",
        "TypeAliasType", "ReadOnly", "TypeIs", "get_overloads", "clear_overloads",
    },
    "enum": {"StrEnum", "ReprEnum", "EnumCheck", "verify", "member", "nonmember", "property"},
    "contextlib": {"chdir"},
    "hashlib": {"file_digest"},
    "math": {"cbrt", "exp2", "sumprod", "fma"},
    "itertools": {"batched"},
    "operator": {"call"},
    "os": {"process_cpu_count", "listdrives", "unshare", "setns"},
    "sys": {"exception", "activate_stack_trampoline"},
    "asyncio": {"TaskGroup", "timeout", "Runner"},
    "importlib.resources": {"abc"},
    "string": {"templatelib"},
    "warnings": {"deprecated"},
}  # fmt: skip
"""Names that Python 3.10 does not have (the "What's new" pages of 3.11 to 3.14), by module."""

NEWER_MODULES = {
    "tomllib",
    "wsgiref.types",
    "importlib.resources.abc",
    "compression",
    "annotationlib",
}
NEWER_BUILTINS = {"ExceptionGroup", "BaseExceptionGroup", "PythonFinalizationError"}
NEWER_METHODS = {"add_note", "walk_up", "is_junction", "full_match"}


def newer_than_3_10(source: str) -> list[str]:
    """Return what in ``source`` needs a Python newer than 3.10."""
    try:
        tree = ast.parse(source, feature_version=(3, 10))
    except SyntaxError as error:
        return [error.msg]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found += [module] * (module in NEWER_MODULES)
            found += [a.name for a in node.names if a.name in NEWER.get(module, ())]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in NEWER_MODULES]
        elif isinstance(node, ast.Name) and node.id in NEWER_BUILTINS:
            found.append(node.id)
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in NEWER.get(owner, ()) or node.attr in NEWER_METHODS:
                found.append(node.attr)
    return found


def test_bundle_files_are_python_3_10(files: dict[str, bytes]) -> None:
    found = {name: newer_than_3_10(source.decode()) for name, source in files.items()}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC",
        "import datetime\ndatetime.UTC",
        "import tomllib",
        "from typing import Self",
        "try:\n    pass\nexcept* ValueError:\n    pass",
        "raise ExceptionGroup('', [])",
        "error.add_note('')",
    ],
)
def test_newer_python_would_be_noticed(source: str) -> None:
    assert newer_than_3_10(source)
