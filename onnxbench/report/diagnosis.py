"""``doctor`` for people: a checklist with the command that mends each finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from onnxbench.report import format as fmt
from onnxbench.report.findings import Finding
from onnxbench.report.layout import definitions
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType


def diagnosis_text(found: Mapping[str, Any], *, width: int) -> RenderableType:
    """Return `onnxbench.diagnosis.diagnose`'s document for ``width`` cells."""
    return Group(
        _section("here", _here(found), width),
        _section("runtimes and environments", _runtimes(found), width),
        _section("what makes this host noisy", _host(found), width),
        _section("self-proof", _self_proof(found), width),
    )


def _section(title: str, findings: Iterator[Finding], width: int) -> RenderableType:
    return Group(Text(title, style="bold"), definitions(list(findings), width), Text())


def _here(found: Mapping[str, Any]) -> Iterator[Finding]:
    device = found["device"]
    yield Finding("onnxbench", f"{found['onnxbench']}, Python {found['python']}")
    yield Finding("device", f"{device['name']}, {device['arch']}"
                  + (", emulated" if device["emulated"] else ""))  # fmt: skip
    yield Finding("threads", f"{found['threads']}: {found['threads_reason']}")
    available = found["memory_available_bytes"]
    yield Finding("memory", "unknown" if available is None else f"{fmt.size(available)} available")
    if found["measuring"]:
        yield Finding("warn", f"another process is measuring: {found['measuring']}")


def _runtimes(found: Mapping[str, Any]) -> Iterator[Finding]:
    for runtime in found["runtimes"]:
        yield Finding(safe_text(runtime["runtime"]), safe_text(_runtime(runtime), 500))
    for environment in found["environments"]:
        name, problem = safe_text(environment["name"]), environment["problem"]
        said = (
            f"unusable: {problem}; onnxbench list environments"
            if problem
            else f"Python {environment['python']}, {fmt.size(environment['size_bytes'])}"
        )
        yield Finding("warn" if problem else "ok", safe_text(f"environment {name}: {said}", 500))
    for clash in found["clashes"]:
        packages = " and ".join(clash["packages"])
        effective = f"; the files are those of {clash['effective']}" if clash["effective"] else ""
        said = f"{packages} overwrite one another{effective}: {clash['repair']}"
        yield Finding("warn", safe_text(said, 500))
    for problem in found["plugin_problems"]:
        yield Finding("warn", safe_text(problem, 500))


def _runtime(runtime: Mapping[str, Any]) -> str:
    if not runtime["possible"]:
        return f"impossible here: {runtime['reason']}"
    if not runtime["available"]:
        return f"missing: {runtime['reason']}; {runtime['hint']}"
    where = f", environment {runtime['environment']}" if runtime["environment"] else ""
    unverified = f"; unverified: {runtime['unverified']}" if runtime["unverified"] else ""
    return f"ok: {runtime['distribution']} {runtime['version']}{where}{unverified}"


def _host(found: Mapping[str, Any]) -> Iterator[Finding]:
    for check in found["host"]:
        text = f"{check['name']}: {safe_text(check['finding'], 500)}"
        if check["state"] == "warn":
            text += f"; {check['why']}. {check['mend']}"
        yield Finding(check["state"], text)


def _self_proof(found: Mapping[str, Any]) -> Iterator[Finding]:
    proof = found["self_proof"]
    if proof is None:
        yield Finding("none", found["self_proof_reason"])
        return
    yield Finding("date", fmt.timestamp(proof["date"]))
    for row in proof["proofs"]:
        state = "ok" if row["holds"] else "warn"
        yield Finding(state, f"{row['name']}: {row['measured']} (target: {row['target']})")
