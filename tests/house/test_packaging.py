"""What is shipped, and that it works where the clone is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import onnxbench

CLONE = Path(onnxbench.__file__).parent.parent
PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text())


def test_every_folder_with_modules_is_a_listed_package() -> None:
    roots = {"onnxbench": "onnxbench", "exporters": "onnxbench.exporters"}
    roots["runtimes"] = "onnxbench.runtimes"
    found = {
        ".".join([package, *module.parent.relative_to(CLONE / folder).parts])
        for folder, package in roots.items()
        for module in (CLONE / folder).rglob("*.py")
    }
    assert sorted(found) == PROJECT["tool"]["setuptools"]["packages"]


def test_every_package_says_what_it_is() -> None:
    for folder in ("onnxbench", "exporters", "runtimes"):
        for package in {module.parent for module in (CLONE / folder).rglob("*.py")}:
            assert (package / "__init__.py").read_text().startswith('"""'), package


def test_every_entry_point_names_a_module_here() -> None:
    for group in PROJECT["project"]["entry-points"].values():
        for value in group.values():
            module = value.partition(":")[0].removeprefix("onnxbench.")
            assert (CLONE / Path(*module.split("."))).with_suffix(".py").is_file(), value


def test_every_requirement_is_pinned_for_the_tests() -> None:
    def normal(name: str) -> str:
        return name.lower().replace("_", "-")

    lines = (CLONE / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {normal(name) for name in pins}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *(r for e in extras.values() for r in e)]
    others = (requirement for requirement in wanted if not requirement.startswith("onnxbench["))
    assert {normal(requirement.partition(">")[0]) for requirement in others} <= pinned


def test_stubs_point_at_the_adapters() -> None:
    for name in ("exporters", "runtimes"):
        assert (CLONE / "stubs/onnxbench" / name).resolve() == CLONE / name


def test_workflow_calls_the_same_script_with_pinned_actions() -> None:
    workflow = yaml.safe_load((CLONE / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["check"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    for step in steps[:-1]:
        commit = step["uses"].partition("@")[2]
        assert len(commit) == 40, step
        assert int(commit, 16)
    assert os.access(CLONE / ".ci/run", os.X_OK)


# ------------------------------------------------------------------------------ what is installed


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel made from it, as a release makes them."""
    folder = tmp_path_factory.mktemp("dist")
    command: list[str | Path] = [sys.executable, "-m", "build", "--outdir", folder, CLONE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.mark.install
def test_sdist_holds_what_a_build_needs(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"models.yaml", "setup.py", "pyproject.toml", "LICENSE"} <= names
    assert {"exporters/file.py", "runtimes/__init__.py", "onnxbench/py.typed"} <= names


@pytest.mark.install
def test_wheel_holds_one_package(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        names = archive.namelist()
        models = archive.read("onnxbench/models.yaml")
    info = f"onnxbench-{PROJECT['project']['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"onnxbench", info}
    assert models == (CLONE / "models.yaml").read_bytes()
    assert f"{info}/licenses/LICENSE" in names
    data = {name for name in names if not name.startswith(info) and not name.endswith(".py")}
    assert data == {"onnxbench/py.typed", "onnxbench/models.yaml"}
    modules = {
        path.relative_to(CLONE).as_posix()
        if folder == "onnxbench"
        else f"onnxbench/{path.relative_to(CLONE).as_posix()}"
        for folder in ("onnxbench", "exporters", "runtimes")
        for path in (CLONE / folder).rglob("*.py")
    }
    assert modules == {name for name in names if name.endswith(".py")}


@pytest.fixture(scope="module")
def elsewhere(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds the wheel; its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-qq",
        "--no-deps",
    ]
    subprocess.run([*pip, built[1]], check=True)
    return folder


@pytest.mark.install
def test_wheel_works_where_the_clone_is_not(elsewhere: Path) -> None:
    site = next((elsewhere / "env" / "lib").glob("python3*/site-packages"))
    # Everything that this environment has, except the clone: --no-deps left the rest out.
    for package in Path(yaml.__file__).parent.parent.iterdir():
        if "onnxbench" not in package.name and not (site / package.name).exists():
            (site / package.name).symlink_to(package)

    def run(*command: str) -> str:
        program = elsewhere / "env" / "bin" / command[0]
        done = subprocess.run(
            [program, *command[1:]],
            cwd=elsewhere,
            env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "COLUMNS": "100"},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert str(elsewhere) in run("python", "-c", "import onnxbench; print(onnxbench.__file__)")
    assert PROJECT["project"]["version"] in run("onnxbench", "--version")
    assert "run" in run("onnxbench", "--help")
    code = (
        "from onnxbench import catalog, registry\n"
        "spec = catalog.load().find('squeezenet-light')\n"
        "exporter = registry.load(registry.find_exporter(spec.scheme))\n"
        "print(exporter.locate(spec, None))\n"
    )
    assert "light_squeezenet.onnx" in run("python", "-c", code)
