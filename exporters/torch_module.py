"""``torch:package.module:function`` and ``torch:path/to/file.py:function``: the user's own network.

The function is called with the entry's ``arguments`` and returns a ``torch.nn.Module``, whose
weights are taken as the function built them unless random ones are asked for.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxbench.protocols import Source
    from onnxbench.sources import ExportRequest

_SIZE = (3, 224, 224)
_FORM = "write torch:package.module:function or torch:path/to/file.py:function"


class TorchExporter:
    """Calls the user's function; torch is imported when a network is loaded."""

    name = "torch"
    revision = 1
    modules = ("torch", "onnx", "onnxscript")
    distributions = ("torch", "onnx", "onnxscript", "onnx-ir", "numpy")
    environment = "torch"

    def files(self, location: str) -> list[Path]:
        """Return the file that holds the function, as far as it is found without running code."""
        where = location.rpartition(":")[0]
        path = Path(where) if where.endswith(".py") else _origin(where)
        return [path] if path is not None and path.is_file() else []

    def load(self, request: ExportRequest) -> Source:
        """Build the network with its weights. Raises ExportError."""
        from . import _torch_libraries, _torch_package, _torch_random, _torch_source  # noqa: PLC0415

        _torch_random.seed_everything(request.seed)
        module = _call(_function(request.location), request)
        trained = None
        if request.weights == "pretrained":
            trained = "as built by the function"
            if request.weights_from:
                trained = _torch_package.load(module, request.weights_from)
        notes = () if request.inputs else (f"no inputs: given, {list(_SIZE)} is assumed",)
        return _torch_source.TorchSource(
            _torch_source.Built(
                module=module,
                size=_SIZE,
                trained=trained,
                versions=_torch_libraries.versions(),
                fuse=_torch_source.fuse_children,
                notes=notes,
            ),
            request,
        )


def _origin(module: str) -> Path | None:
    """Return the file of ``package.module``; its packages are not imported."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # of __main__, or of a module that is half imported
        return None
    if not rest:
        return Path(spec.origin) if spec and spec.origin else None
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in (Path(folder, *rest).with_suffix(".py"), Path(folder, *rest, "__init__.py")):
            if path.is_file():
                return path
    return None


def _function(location: str) -> Callable[..., Any]:
    """Return what ``location`` names. Raises ExportError."""
    where, _, name = location.rpartition(":")
    if not where or not name:
        raise ExportError(f"torch:{location} names no function", _FORM)
    try:
        module = _file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except Exception as error:
        raise ExportError(
            f"{where} cannot be imported: {type(error).__name__}: {error}",
            "it runs in the environment of torch, and must import there; " + _FORM,
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        names = [each for each, value in vars(module).items() if callable(value)]
        close = difflib.get_close_matches(name, names)
        raise ExportError(
            f"{where} has no function {name}",
            f"did you mean {', '.join(close)}?" if close else _FORM,
        )
    return function  # type: ignore[no-any-return]


def _file(path: Path) -> Any:
    """Import the file at ``path``, and let it import what stands beside it, as a script may."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path.name} in {path.parent}")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # a file called random.py is not to replace random
    spec.loader.exec_module(module)
    return module


def _call(function: Callable[..., Any], request: ExportRequest) -> Any:
    arguments = dict(request.arguments)
    try:
        module = function(**arguments)
    except Exception as error:
        written = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ExportError(
            f"{request.location}({written}) raised {type(error).__name__}: {error}",
            "its arguments stand under arguments: in models.yaml",
        ) from error
    torch = importlib.import_module("torch")
    if not isinstance(module, torch.nn.Module):
        raise ExportError(
            f"{request.location} returned {type(module).__name__}, not a torch.nn.Module",
            "the function has to return the network itself",
        )
    return module
