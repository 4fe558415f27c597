"""``onnxbench doctor``: what it finds here, clashes, and the self-proof that it remembers."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from onnxbench import selfproof
from onnxbench.diagnosis import clashes
from tests.cli.command import end, ended, onnxbench, start


def test_what_is_here() -> None:
    found = onnxbench("doctor", "--json").document["doctor"]
    assert found["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}")
    assert found["threads"] >= 1
    assert found["threads_reason"]
    assert found["measuring"] is None
    assert found["measuring_reason"]
    assert found["self_proof"] is None
    assert "onnxbench doctor --self-proof" in found["self_proof_reason"]
    assert found["plugin_problems"] == []
    (cpu,) = (runtime for runtime in found["runtimes"] if runtime["runtime"] == "cpu")
    assert cpu["available"] is True
    assert cpu["environment_reason"]
    for runtime in found["runtimes"]:
        assert runtime["available"] or (runtime["reason"] and runtime["hint"])
    assert found["host"]


def test_in_words() -> None:
    ran = onnxbench("doctor")
    assert ran.code == 0
    assert "cpu" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def distribution(folder: Path, name: str) -> None:
    info = folder / f"{name.replace('-', '_')}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "top_level.txt").write_text("onnxruntime\n")


def test_packages_that_overwrite_one_another(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(place / "site", "onnxruntime-gpu")
    distribution(place / "site", "onnxruntime")
    monkeypatch.syspath_prepend(str(place / "site"))
    (clash,) = clashes()
    assert clash.packages == ("onnxruntime", "onnxruntime-gpu")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in clash.repair
    environment = {**os.environ, "PYTHONPATH": str(place / "site")}
    found = onnxbench("doctor", "--json", env=environment).document["doctor"]
    assert [row["module"] for row in found["clashes"]] == ["onnxruntime"]
    assert "onnxruntime-gpu" in onnxbench("doctor", env=environment).out


def build(folder: Path, name: str, version: str) -> None:
    """Write a wheel with the two files of ONNX Runtime that say which build it is."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    said = f"package_name = '{name}'\n__version__ = '{version}'\n"
    files = {
        "onnxruntime/__init__.py": (
            "from .capi.build_and_package_info import __version__, package_name\n"
        ),
        "onnxruntime/capi/__init__.py": "",
        "onnxruntime/capi/build_and_package_info.py": said,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(inside, text)


@pytest.mark.install
def test_the_repair_as_typed_in_a_real_environment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip's own doing: the last build wins; removing one alone leaves neither."""
    wheels = place / "wheels"
    wheels.mkdir()
    build(wheels, "onnxruntime", "1.1")
    build(wheels, "onnxruntime-gpu", "1.2")
    venv.create(place / "user", with_pip=True, symlinks=True)
    python = place / "user" / "bin" / "python"
    site = next((place / "user" / "lib").glob("python*/site-packages"))

    def pip(*words: str) -> None:
        find = ("--no-index", "--find-links", wheels) if words[0] == "install" else ()
        command = (python, "-I", "-m", "pip", words[0], "-q", *find, *words[1:])
        subprocess.run(command, check=True, capture_output=True)

    def imported() -> str:
        code = "import onnxruntime as o; print(o.package_name, o.__version__)"
        done = subprocess.run(
            [python, "-c", code], check=False, capture_output=True, text=True, cwd=place
        )
        return done.stdout.strip()

    pip("install", "onnxruntime")
    pip("install", "onnxruntime-gpu")
    assert imported() == "onnxruntime-gpu 1.2"
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)  # another test may have it
    importlib.invalidate_caches()
    (clash,) = clashes()
    assert clash.effective == "onnxruntime-gpu 1.2"
    assert clash.repair.startswith(
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu "
    )

    for command in clash.repair.partition("#")[0].split("&&"):
        _, *words = command.split()
        pip(*words)
    assert imported() == "onnxruntime-gpu 1.2"
    assert clashes() == []

    pip("install", "onnxruntime")
    pip("uninstall", "-y", "onnxruntime")
    assert imported() == "", "why the repair does not remove one of them alone"


def test_no_clash_here(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(place)])
    assert clashes() == []
    distribution(place, "onnxruntime")
    assert clashes() == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("broken = no.such.module:X", "broken"),
        ("cpu = other.module:X", "cpu"),
    ],
)
def test_broken_plug_ins_are_said_and_break_nothing(place: Path, entry: str, problem: str) -> None:
    info = place / "plugins" / "theirs-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[onnxbench.runtimes]\n{entry}\n")
    environment = {**os.environ, "PYTHONPATH": str(info.parent)}
    ran = onnxbench("doctor", "--json", env=environment)
    assert ran.code == 0
    assert problem in ran.out
    listed = onnxbench("list", "runtimes", "--json", env=environment).document["runtimes"]
    assert [row for row in listed if not row["usable"] and row["reason"]]


def test_who_measures_now(relu: Path, proof: list[str], place: Path) -> None:
    long = ("--set", "sleep_s=0.01", "--iters", "5000", "--warmup", "1")
    with ended(start("run", relu, *proof, *long)) as process:
        while not (place / "lock").exists() or not (place / "lock").read_text():
            assert process.poll() is None
        found = onnxbench("doctor", "--json").document["doctor"]
        assert f"process {process.pid} of" in found["measuring"]
        process.terminate()
        assert end(process).code == 130


def test_a_remembered_self_proof_is_shown(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXBENCH_CACHE", str(place / "own-cache"))
    proof = selfproof.Proof("null engine", "target", "0.1 µs", holds=True, figures=(("m", 1.0),))
    selfproof.remember(selfproof.document([proof]))
    found = onnxbench("doctor", "--json").document["doctor"]["self_proof"]
    assert found["holds"] is True
    assert found["date"]
    assert found["proofs"][0]["measured"] == "0.1 µs"
    assert "null engine" in onnxbench("doctor").out


@pytest.mark.slow
def test_self_proof(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs to its end, remembers its figures, and its exit code says whether all held."""
    monkeypatch.setenv("ONNXBENCH_CACHE", str(place / "own-cache"))
    ran = onnxbench("doctor", "--self-proof", "--json", timeout=280)
    found = ran.document["doctor"]["self_proof"]
    assert ran.code == (0 if found["holds"] else 1)
    names = [row["name"] for row in found["proofs"]]
    assert names[0] == "null engine"
    assert names[-1] == "A/A"
    assert len([name for name in names if name.startswith("sleep engine")]) == 3
    for row in found["proofs"]:
        assert row["measured"]
        assert isinstance(row["holds"], bool)
    assert selfproof.recall() == found
