from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxbench import registry
from onnxbench.errors import UsageError


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a distribution that importlib.metadata finds, as pip would leave it on disk."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(distribution: str, module: str = "", source: str = "", **runtimes: str) -> None:
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\n")
        lines = [f"{name} = {value}" for name, value in runtimes.items()]
        (info / "entry_points.txt").write_text("\n".join(["[onnxbench.runtimes]", *lines]))
        if module:
            (tmp_path / f"{module}.py").write_text(source)

    return make


def test_ours_come_through_the_same_door() -> None:
    assert registry.find_runtime("cpu").distribution == "onnxbench"
    assert {"file", "onnx-light"} <= {plugin.name for plugin in registry.exporters()}
    assert not [plugin for plugin in registry.exporters() if plugin.problem]


@pytest.mark.parametrize("name", ["file", "onnx-light"])
def test_load_gives_an_object_with_the_entry_points_name(name: str) -> None:
    exporter = registry.load(registry.find_exporter(name))
    assert not isinstance(exporter, type)
    assert getattr(exporter, "name", None) == name


def test_runtime_of_another_distribution(install: Callable[..., None]) -> None:
    source = "class A:\n    name = 'mine'\nclass Holder:\n    one = A()\n"
    install("theirs", "theirs_a", source, mine="theirs_a:A", one="theirs_a:Holder.one")
    found = registry.find_runtime("mine")
    assert found == registry.Registered("mine", "theirs_a:A", "theirs")
    assert type(registry.load(found)).__name__ == "A"
    assert type(registry.load(registry.find_runtime("one"))).__name__ == "A"


def test_unknown_name_gets_the_nearest(install: Callable[..., None]) -> None:
    install("theirs", quantum="theirs_b:A")
    with pytest.raises(UsageError, match="no runtime quantun") as caught:
        registry.find_runtime("quantun")
    assert caught.value.hint == "did you mean quantum?"
    with pytest.raises(UsageError) as caught:
        registry.find_runtime("zzz")
    assert "cpu" in caught.value.hint
    with pytest.raises(UsageError, match="no exporter"):
        registry.find_exporter("quantum")


def test_conflict_names_both_and_spares_the_rest(install: Callable[..., None]) -> None:
    install("theirs", mine="theirs_c:A", fine="theirs_c:B")
    install("others", mine="others_c:A")
    (claim,) = (plugin for plugin in registry.runtimes() if plugin.name == "mine")
    assert "others (others_c:A) and theirs (theirs_c:A)" in claim.problem
    assert claim.distribution == "others or theirs"
    with pytest.raises(UsageError, match=r"others .* theirs"):
        registry.find_runtime("mine")
    with pytest.raises(UsageError, match=r"others .* theirs"):
        registry.load(claim)
    assert registry.find_runtime("fine").problem == ""


def test_our_names_are_ours(install: Callable[..., None]) -> None:
    install("theirs", cpu="theirs_e:A")
    ours, theirs = (plugin for plugin in registry.runtimes() if plugin.name == "cpu")
    assert (ours.distribution, ours.problem) == ("onnxbench", "")
    assert theirs.distribution == "theirs"
    assert "onnxbench's own" in theirs.problem
    assert registry.find_runtime("cpu") == ours


def test_the_first_of_two_installations_counts(install: Callable[..., None]) -> None:
    install("theirs", mine="theirs_f:New")
    install("Theirs-old", mine="theirs_f:Old")
    old = Path(sys.path[0], "Theirs-old-1.0.dist-info/METADATA")
    old.write_text("Metadata-Version: 2.1\nName: theirs\n")
    assert registry.find_runtime("mine").distribution == "theirs"


@pytest.mark.parametrize(
    "points", [b"[onnxbench.runtimes]\nno sign\n", b"[onnxbench.runtimes]\nx = \xff:A\n"]
)
def test_a_garbled_file_is_its_distributions_trouble(
    install: Callable[..., None], points: bytes
) -> None:
    install("fine", fine="fine_g:A")
    install("garbled", mine="garbled_g:A")
    Path(sys.path[0], "garbled-1.0.dist-info/entry_points.txt").write_bytes(points)
    assert registry.find_runtime("fine").distribution == "fine"
    problems = {plugin.name: plugin.problem for plugin in registry.runtimes() if plugin.problem}
    assert set(problems) <= {"garbled"}


def test_what_a_plugin_prints_goes_to_stderr(
    install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install("noisy", "noisy_h", "print('hello')\nA = 1\n", mine="noisy_h:A")
    assert registry.load(registry.find_runtime("mine")) == 1
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize("value", ["module", "module:", "mod ule:A", "module:A [extra]", ":A"])
def test_malformed_announcement_is_data(install: Callable[..., None], value: str) -> None:
    install("theirs", mine=value, fine="theirs_d:B")
    by_name = {plugin.name: plugin for plugin in registry.runtimes()}
    assert "not of the form" in by_name["mine"].problem
    assert not by_name["fine"].problem
    with pytest.raises(UsageError, match="not of the form"):
        registry.find_runtime("mine")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import surely_not_installed\nA = 1", "ModuleNotFoundError: .*surely_not_installed"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("B = 1", "AttributeError"),
        ("class A:\n    def __init__(self, x): pass", "TypeError"),
        ("A = (", "SyntaxError"),
    ],
)
def test_broken_plugin_is_named_with_the_reason(
    install: Callable[..., None], source: str, reason: str, request: pytest.FixtureRequest
) -> None:
    module = f"broken_{abs(hash(request.node.name))}"
    install("theirs", module, source, mine=f"{module}:A")
    with pytest.raises(UsageError, match=rf"plug-in mine \({module}:A of theirs\).*{reason}"):
        registry.load(registry.find_runtime("mine"))


def test_import_reads_no_entry_points() -> None:
    code = (
        "from importlib import metadata\n"
        "def refuse(**_): raise SystemExit(1)\n"
        "metadata.distributions = metadata.entry_points = refuse\n"
        "import onnxbench.registry\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
