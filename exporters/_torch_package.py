"""Trained weights that a pip package ships as a file."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

import torch

from onnxbench.errors import ExportError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUFFIXES = (".pth", ".pt")


def load(module: Any, requirement: str) -> str:
    """Load the weights that the package of ``requirement`` ships; return what they are, in words.

    Their tensors are taken in the order in which they stand in the file, for two implementations
    of one network seldom agree on names: number and shapes must be equal. Raises ExportError.
    """
    distribution = _distribution(requirement)
    words = f"package: {distribution.metadata['Name']} {distribution.version}"
    path = _file(distribution, requirement)
    given = torch.load(path, map_location="cpu", weights_only=True)
    given = given.get("state_dict", given)
    values = [value for name, value in given.items() if "num_batches" not in name]
    own = {name: value for name, value in module.state_dict().items() if "num_batches" not in name}
    if len(values) != len(own):
        raise ExportError(
            f"{path.name} of {requirement} holds {len(values)} tensors, the network {len(own)}",
            "weights_from must name a package with weights of this very network",
        )
    for (name, value), other in zip(own.items(), values, strict=True):
        if value.shape != other.shape:
            raise ExportError(
                f"{path.name} of {requirement} has shape {tuple(other.shape)} where the network's "
                f"{name} has {tuple(value.shape)}",
                "weights_from must name a package with weights of this very network",
            )
    module.load_state_dict(dict(zip(own, values, strict=True)), strict=False)
    return words


def _distribution(requirement: str) -> importlib.metadata.Distribution:
    name = _NAME.match(requirement.strip())
    hint = f"{sys.executable} -m pip install '{requirement}', or --weights random"
    if name is None:
        raise ExportError(
            f"weights_from: {requirement!r} is no pip requirement", "write NAME==VERSION"
        )
    try:
        found = importlib.metadata.distribution(name[0])
    except importlib.metadata.PackageNotFoundError:
        raise ExportError(
            f"the trained weights cannot be had: {requirement} is not installed", hint
        ) from None
    wanted = requirement.partition("==")[2].strip()
    if wanted and wanted != found.version:
        raise ExportError(f"{name[0]} {found.version} is installed, wanted is {requirement}", hint)
    return found


def _file(distribution: importlib.metadata.Distribution, requirement: str) -> Path:
    files = [file for file in distribution.files or () if file.suffix in _SUFFIXES]
    if len(files) != 1:
        names = ", ".join(sorted(file.name for file in files)) or "none"
        raise ExportError(
            f"{requirement} should ship one file of weights (.pth); it ships {names}",
            "name another package, or --weights random",
        )
    return Path(str(distribution.locate_file(files[0])))
