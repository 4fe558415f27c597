"""Trained weights from where they are published, and a plain answer when that cannot be reached.

huggingface_hub asks a closed network six times over, 24 seconds in all, and torch.hub waits
without any limit. Here a hub is asked once, with a limit, before a download is begun; what lies in
the local cache is used without asking.
"""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from onnxbench.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER_S = 5.0
_PATIENCE_S = 8.0  # looking up a host's name has no limit of its own
_FOREIGN = ("huggingface_hub", "httpx", "httpx2", "requests", "urllib3", "safetensors")


def reachable(url: str) -> bool:
    """Return whether the host of ``url`` answers within a few seconds, proxies included."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - a hub's own address
        try:
            urllib.request.urlopen(request, timeout=_ANSWER_S).close()  # noqa: S310 - as above
        except urllib.error.HTTPError:
            answered.set()
        except (OSError, ValueError):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return answered.is_set()


@contextmanager
def hugging_face(file: str) -> Iterator[None]:
    """Load ``file`` ("model.safetensors of timm/resnet50.a1_in1k") inside, from the hub or its
    cache. Raises ExportError when it cannot be had."""
    constants: Any = import_module("huggingface_hub.constants")
    offline = constants.HF_HUB_OFFLINE
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    closed = offline or not reachable(endpoint)
    constants.HF_HUB_OFFLINE = closed
    try:
        yield
    except Exception as error:
        if not (isinstance(error, OSError) or type(error).__module__.startswith(_FOREIGN)):
            raise
        reason = "HF_HUB_OFFLINE is set" if offline else f"{endpoint} does not answer"
        raise unavailable(file, endpoint, reason if closed else str(error), "HF_HOME") from error
    finally:
        constants.HF_HUB_OFFLINE = offline


@contextmanager
def torch_hub(url: str) -> Iterator[None]:
    """Load the file at ``url`` inside, or its copy in torch.hub's cache. Raises ExportError."""
    parts = urllib.parse.urlparse(url)
    name = Path(parts.path).name
    server = f"{parts.scheme}://{parts.netloc}"
    cached = Path(torch.hub.get_dir(), "checkpoints", name).exists()
    if not cached and not reachable(server):
        raise unavailable(name, server, f"{server} does not answer", "TORCH_HOME")
    try:
        yield
    except (OSError, HTTPException) as error:
        raise unavailable(name, server, str(error), "TORCH_HOME") from error
    except RuntimeError as error:  # what torch.hub raises when a download broke off
        if "hash value" not in str(error):
            raise
        raise unavailable(name, server, str(error), "TORCH_HOME") from error


def unavailable(file: str, hub: str, reason: str, cache: str) -> ExportError:
    """Return the error that says which file is missing and how to go on; ``cache`` names the
    variable of the environment that a filled cache is given by."""
    first = (reason.splitlines() or ["no reason given"])[0]
    return ExportError(
        f"the trained weights cannot be had: {file} from {hub} ({first})",
        "--weights random exports the same network without them; or fill the cache on a machine "
        f"that reaches {hub}, copy it here and point {cache} to it",
    )
