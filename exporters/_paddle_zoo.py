"""The networks of ``ppcls.arch.backbone`` (PyPI: paddleclas), imported without the rest of it.

``ppcls`` lies inside the folder of ``paddleclas``, and the initialisers of ``ppcls.arch`` and
``ppcls.utils`` import what training needs (scikit-learn, OpenCV, faiss …). The networks need none
of it. So these three packages are entered as bare folders: their modules import one another as
always, while no initialiser runs and neither ``sys.path`` nor the working directory changes.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import logging
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from onnxbench.errors import ExportError

_BARE = ("ppcls", "ppcls.arch", "ppcls.utils")
_DOWNLOAD_LIMIT_S = 10.0
"""How long the server may take to answer. A closed network often stays silent for minutes."""


def build(name: str, *, pretrained: bool, arguments: dict[str, Any]) -> Any:
    """Return the network that ``name`` of ``ppcls.arch.backbone`` builds.

    Raises ExportError for an unknown name, for arguments that do not fit, and where the trained
    weights are missing or cannot be fetched.
    """
    builder = _builder(_backbones(), name)
    if pretrained:
        if "pretrained" not in inspect.signature(builder).parameters:
            raise _unpublished(name)
        arguments = {**arguments, "pretrained": True}
    try:
        return builder(**arguments)
    except TypeError as error:
        raise ExportError(
            f"paddle:{name} does not take these arguments: {error}",
            f"its parameters are {inspect.signature(builder)}",
        ) from error
    except RuntimeError as error:
        if pretrained and "pretrained model" in str(error):
            raise _unpublished(name) from error
        raise


def _unpublished(name: str) -> ExportError:
    return ExportError(f"paddleclas publishes no weights of {name}", "try --weights random")


def _backbones() -> ModuleType:
    spec = find_spec("paddleclas")  # locates the package without running it
    if spec is None or not spec.submodule_search_locations:
        raise ExportError("the package paddleclas is not installed", "onnxbench install paddle")
    root = Path(spec.submodule_search_locations[0])
    for name in _BARE:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules.setdefault(name, package)
    backbones = importlib.import_module("ppcls.arch.backbone")
    logger: Any = importlib.import_module("ppcls.utils.logger")
    if logger._logger is None:  # noqa: SLF001 - else its first message fails on None
        logger._logger = logging.getLogger("ppcls")  # noqa: SLF001
    download: Any = importlib.import_module("ppcls.utils.download")
    download._download = _download  # noqa: SLF001 - theirs waits for ever, three times
    return backbones


def _builder(backbones: ModuleType, name: str) -> Any:
    names = [
        key for key, value in vars(backbones).items() if callable(value) and not key.startswith("_")
    ]
    if name in names:
        return getattr(backbones, name)
    near = difflib.get_close_matches(name, names, n=3)
    raise ExportError(
        f"ppcls.arch.backbone has no network {name}",
        f"did you mean {', '.join(near)}?" if near else "see the backbones that paddleclas lists",
    )


def _download(url: str, folder: str, md5sum: str | None = None) -> str:
    """Fetch ``url`` into ``folder`` and return the file's path, as ppcls's function of that name.

    Raises ExportError when the server does not answer within seconds.
    """
    target = Path(folder, url.rpartition("/")[2])
    answer: list[Any] = []

    def ask() -> None:
        requests: Any = importlib.import_module("requests")
        try:
            reply = requests.get(url, stream=True, timeout=_DOWNLOAD_LIMIT_S)
            reply.raise_for_status()
        except (requests.RequestException, OSError) as error:
            answer.append(error)
        else:
            answer.append(reply)

    # The look-up of the host's name has no time limit of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_DOWNLOAD_LIMIT_S + 1)
    reply = answer[0] if answer else TimeoutError(f"no answer in {_DOWNLOAD_LIMIT_S:.0f} s")
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        if isinstance(reply, Exception):
            raise reply
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.writelines(reply.iter_content(1 << 20))
        if (
            md5sum
            and hashlib.md5(partial.read_bytes(), usedforsecurity=False).hexdigest() != md5sum
        ):
            raise OSError("the file is not the published one")
    except OSError as error:  # requests' errors are OSErrors too
        raise ExportError(
            f"the trained weights cannot be fetched from {url} ({type(error).__name__})",
            f"--weights random goes without them; or fetch that address elsewhere and put the file "
            f"into {target.parent}",
        ) from error
    partial.replace(target)
    return str(target)


def fuse(network: Any) -> tuple[str, ...]:
    """Bring every layer that is trained as several branches into the form it runs in.

    Returns notes.
    """
    layers = [layer for layer in network.sublayers() if hasattr(layer, "re_parameterize")]
    for layer in layers:
        layer.re_parameterize()
    return () if layers else ("fuse: the network has only one form",)
