"""What imports what. import-linter's contracts, and the rules that it cannot express."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import onnxbench

CLONE = Path(onnxbench.__file__).parent.parent
FOLDERS = ("onnxbench", "exporters", "runtimes", "tests", "benchmarks")
BUNDLE = (
    "onnxbench/worker",
    "onnxbench/probes",
    "onnxbench/adapting.py",
    "onnxbench/protocols.py",
    "onnxbench/types.py",
    "onnxbench/errors.py",
    "onnxbench/text.py",
    "runtimes",
)
BUNDLED_MODULES = (
    "adapting",
    "sources",
    "worker",
    "probes",
    "protocols",
    "types",
    "errors",
    "text",
    "runtimes",
)
RUNTIME_PACKAGES = {
    "litert": {"ai_edge_litert", "onnx2tf", "onnx"},
    "mnn": {"MNN", "_tools"},
    "reference": {"onnx"},
    "torch": {"torch", "onnx2torch", "onnx"},
}
"""What the modules of a runtime may import that are not called as it is."""


def python_files(*places: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = CLONE / place
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return found


def imports(path: Path) -> Iterator[str]:
    """Yields every absolutely imported module, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_import_contracts_hold(installed_layout: Path) -> None:
    done = lint_imports(installed_layout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("onnxbench/errors.py", "import onnxbench.types"),
        ("onnxbench/measure/extra.py", "from onnxbench import cli"),
        ("onnxbench/registry.py", "from onnxbench.runtimes import onnxruntime"),
        ("onnxbench/runtimes/extra.py", "import onnxbench.exporters.file"),
        ("onnxbench/exporters/extra.py", "from onnxbench.store import sqlite"),
        ("onnxbench/worker/extra.py", "import onnxbench.catalog"),
        ("onnxbench/probes/extra.py", "import rich"),
        ("onnxbench/unlisted.py", ""),
    ],
)
def test_contracts_see_a_breach(installed_layout: Path, module: str, line: str) -> None:
    with (installed_layout / module).open("a") as file:
        file.write(f"\n{line}\n")
    assert lint_imports(installed_layout).returncode == 1


@pytest.fixture
def installed_layout(tmp_path: Path) -> Path:
    """A copy of the sources as they are installed; import-linter knows no package-dir map."""
    shutil.copytree(CLONE / "onnxbench", tmp_path / "onnxbench")
    for adapters in ("exporters", "runtimes"):
        shutil.copytree(CLONE / adapters, tmp_path / "onnxbench" / adapters)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    options: list[str | Path] = ["--no-cache", "--no-logo", "--config", CLONE / "pyproject.toml"]
    return subprocess.run(
        [program, *options], cwd=folder, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("path", python_files(*FOLDERS), ids=lambda p: str(p.relative_to(CLONE)))
def test_adapters_have_one_name(path: Path) -> None:
    # In an editable clone `import runtimes` works too, and loads everything a second time.
    roots = {name.partition(".")[0] for name in imports(path)}
    assert not roots & {"exporters", "runtimes"}


@pytest.mark.parametrize("path", python_files(*BUNDLE), ids=lambda p: str(p.relative_to(CLONE)))
def test_bundle_imports_nothing_that_a_board_lacks(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "onnxbench"}
    if path.is_relative_to(CLONE / "runtimes"):
        runtime = path.stem.removeprefix("_").partition("_")[0]
        allowed |= RUNTIME_PACKAGES.get(runtime, {runtime})
    for name in imports(path):
        root, _, rest = name.partition(".")
        assert root in allowed, name
        assert root != "onnxbench" or rest.partition(".")[0] in BUNDLED_MODULES, name


@pytest.mark.parametrize(
    "path", python_files("onnxbench/cli"), ids=lambda p: str(p.relative_to(CLONE))
)
def test_cli_does_not_postpone_annotations(path: Path) -> None:
    # typer would resolve each of them by eval when the program starts.
    assert "__future__.annotations" not in imports(path)
