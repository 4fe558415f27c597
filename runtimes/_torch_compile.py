"""torch.compile by inductor, done before the first run, into a folder of ours."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import NotInstalled, Unsupported
from onnxbench.runtimes._torch_engine import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.runtimes._torch_engine import Network
    from onnxbench.types import BuildRequest, JsonObject

MODES = ("default", "max-autotune-no-cudagraphs")
_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"0", "false", "off", "no"}


def compiled(
    torch: Any, network: Network, request: BuildRequest
) -> tuple[Callable[..., Any], JsonObject]:
    """Return the compiled network, run once, with facts about it. Raises Unsupported, NotInstalled.

    What onnx2torch made is traced to torch's own operators first, so that inductor gets one graph.
    Where that fails, torch.compile makes of it as many graphs as it can. Inductor plans a graph of
    frozen weights in every process anew; what a cache spares is the C++ compiler, nearly all of
    the time. ``compiled_cached``: that one had nothing to do.
    """
    mode, freezing = _options(request.options)
    # Inductor reads these when it compiles; the folder outlives the process if it is the cache.
    folder = Path(request.cache or request.scratch, "inductor")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    from torch._dynamo.utils import counters  # noqa: PLC0415
    from torch._inductor import config  # noqa: PLC0415

    _check_compiler()
    config.freezing = freezing
    config.compile_threads = 1  # otherwise a pool of processes stays beside the measured one
    module, untraced = network.to_compile()
    before = _libraries(folder)
    call = network.flat(torch.compile(module, dynamic=False, mode=mode))
    try:
        with torch.inference_mode():
            call(*network.examples)
    except Exception as error:
        raise translate(error) from error
    return call, {
        "compiled_cached": bool(before) and _libraries(folder) == before,
        "compiler": {"mode": mode, "freezing": config.freezing},
        "graphs": counters["stats"]["unique_graphs"],
        "graph_breaks": sum(counters["graph_break"].values()),
        "untraced": untraced,
    }


def _libraries(folder: Path) -> set[Path]:
    return set(folder.rglob("*.so"))


def _options(options: dict[str, str]) -> tuple[str, bool]:
    mode, freezing = options.get("mode", "default"), options.get("freezing", "1").lower()
    if mode not in MODES:
        raise Unsupported(f"mode={mode!r} is not known", f"one of: {', '.join(MODES)}")
    if freezing not in _TRUE | _FALSE:
        raise Unsupported(f"freezing={freezing!r} is neither true nor false", "--set freezing=1")
    return mode, freezing in _TRUE


def _check_compiler() -> None:
    """Raise NotInstalled without a C++ compiler or the headers of this Python."""
    from torch._inductor import cpp_builder  # noqa: PLC0415

    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        raise NotInstalled(
            f"torch.compile needs {header}", "install the development files of this Python"
        )
    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:
        raise NotInstalled(
            "torch.compile needs a C++ compiler", "install g++, or name another one in CXX"
        ) from error
