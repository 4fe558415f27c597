"""The environment variables a child process gets: an allow-list, and a private home."""

from __future__ import annotations

import os
import random
import re
import site
from pathlib import Path

from onnxbench.probes.software import RECORDED_VARIABLES

PASSED = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "VIRTUAL_ENV"}
"""Passed besides those that the worker records with its result."""

KEPT_FOR_EXPORTERS = re.compile(
    r"HOME|USERPROFILE|APPDATA|LOCALAPPDATA|XDG_.*|HF_.*|TORCH_HOME|.*_PROXY|SSL_CERT_.*"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE",
    re.IGNORECASE,
)
"""Where a framework finds, or downloads to, the weights that it publishes."""

PADDING_BYTES = 4096


def child_environment(home: Path, padding_seed: str) -> dict[str, str]:
    """Return the environment of a child whose home and caches lie in ``home``.

    PYTHONPATH is left out: a worker imports from its bundle and from the interpreter's own
    packages, user site included. The size of the environment moves the stack and with it the
    speed (Mytkowicz et al., ASPLOS 2009), so it is varied from process to process.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED or RECORDED_VARIABLES.fullmatch(name)
    }
    private = str(home)
    return {
        **passed,
        "HOME": private,
        "TMPDIR": private,
        "XDG_CACHE_HOME": private,
        "XDG_CONFIG_HOME": private,
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONIOENCODING": "utf-8",
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "ONNXBENCH_PADDING": "x" * random.Random(padding_seed).randrange(PADDING_BYTES),
    }


def source_environment(home: Path, padding_seed: str) -> dict[str, str]:
    """Return `child_environment`, and with it the folders that hold the user's trained weights.

    For a child that builds a network from its source. The export has fetched them already: the
    hub of Hugging Face stays offline.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folders = {
        name: Path(os.environ.get(name) or Path(base, default)).absolute()
        for name, default in (("HF_HOME", "huggingface"), ("TORCH_HOME", "torch"))
    }
    if chosen := os.environ.get("HF_HUB_CACHE"):
        folders["HF_HUB_CACHE"] = Path(chosen).absolute()
    there = {name: str(folder) for name, folder in folders.items() if folder.is_dir()}
    return {**child_environment(home, padding_seed), **there}


def exporter_environment(scratch: Path, *, threads: int, download: bool) -> dict[str, str]:
    """Return the environment of a child that exports.

    It sees the user's own home and caches, where trained weights lie. ``download``: whether it
    may fetch them; ``threads``: how many the framework's loops may use.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED or KEPT_FOR_EXPORTERS.fullmatch(name)
    }
    return {
        **kept,
        "TMPDIR": str(scratch),
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(threads),
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **({} if download else {"HF_HUB_OFFLINE": "1"}),
    }
