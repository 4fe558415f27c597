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

    from onnxbench.runtimes._torch_convert import Converted
    from onnxbench.types import BuildRequest, JsonObject

MODES = ("default", "max-autotune-no-cudagraphs")
_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"0", "false", "off", "no"}


def compiled(
    torch: Any, converted: Converted, request: BuildRequest
) -> tuple[Callable[..., Any], JsonObject]:
    """Return the compiled module, run once, with facts about it. Raises Unsupported, NotInstalled.

    The module is traced to torch's own operators first, so that inductor gets one graph. Where
    that fails, torch.compile makes of it as many graphs as it can. Inductor plans a graph with
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
    examples = converted.examples
    traced, untraced = _traced(torch, converted.module, examples)
    before = _libraries(folder)
    call = torch.compile(traced, dynamic=False, mode=mode)
    try:
        with torch.inference_mode():
            call(*examples)
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


def _traced(torch: Any, module: Any, examples: list[Any]) -> tuple[Any, str]:
    """Return ``module`` as one graph of torch's operators; itself, and why, where it is none."""
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415

    try:
        with torch.no_grad():
            traced = make_fx(module, tracing_mode="real", pre_dispatch=True)(*examples)
    except Exception as error:  # noqa: BLE001 - whatever it was, the module itself is still there
        return module, f"{type(error).__name__}: {error}"[:300]
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced, ""


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
