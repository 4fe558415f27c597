"""Makes a session of ONNX Runtime strictly: on the provider that was asked for, or not at all.

ONNX Runtime gives a session on the CPU where a provider cannot be made, mostly without a word, and
runs on the CPU where one fails later (``enable_fallback``). Adding the provider to the session's
options raises instead; that it then takes the nodes, placement alone can tell.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import os
import platform
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import NotInstalled, Unsupported
from onnxbench.runtimes import _onnxruntime_errors as errors
from onnxbench.runtimes import _onnxruntime_options as options
from onnxbench.runtimes import _onnxruntime_probe as probe
from onnxbench.runtimes import _onnxruntime_tensorrt as tensorrt
from onnxbench.runtimes._onnxruntime_profiles import CPU_PROVIDER, PLUGIN_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.runtimes._onnxruntime_options import Choice
    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile
    from onnxbench.types import BuildRequest, JsonObject

DEVICES = ("CPU", "GPU", "NPU")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(slots=True)
class Opened:
    """A session and what there is to say of how it was made.

    ``provider``: the name that the runtime gives to the provider, which a plugin tells only once it
    is loaded. ``told``: the provider's options as they were passed on.
    """

    session: Any
    provider: str
    told: dict[str, str]
    facts: JsonObject = field(default_factory=dict)

    @property
    def has_graph(self) -> bool:
        """Whether a CUDA graph was asked for, which keeps the addresses that it was made with."""
        return _has_graph(self.told)


def open_session(ort: Any, profile: ProviderProfile, request: BuildRequest) -> Opened:
    """Return the session. Raises NotInstalled, Unsupported, OutOfMemory."""
    chosen = options.choose(profile, request)
    if request.boundary not in profile.boundaries:
        raise Unsupported(
            f"{profile.name} has no values that stay on its device here", "use --boundary host"
        )
    facts: JsonObject = {}
    if cpus := chosen.own.get("cpus"):
        facts["cpus"] = restrict_to(cpus)
    settings = options.session_options(ort, profile, request, chosen.session)
    if profile.provider == CPU_PROVIDER:
        session = _made(ort, request.model, settings, [CPU_PROVIDER])
        return Opened(session, CPU_PROVIDER, {}, facts)
    _check_options(profile, request, chosen)
    told = {**chosen.provider, **chosen.unchecked}
    if chosen.unchecked:
        facts["options_unchecked"] = sorted(chosen.unchecked)
    if "engine_cache" in profile.own:
        told = tensorrt.spelled({**told, **tensorrt.engine_options(request, chosen.own)})
    if profile.nvidia and profile.compiles and request.precision == "model":
        tensorrt.keep_out_tf32()
    if profile.nvidia:
        facts |= _preload(ort)
    if profile.is_plugin:
        provider = _add_plugin(ort, profile, settings, chosen, facts)
        listed = None
    else:
        provider = profile.provider
        listed = _add(ort, profile, settings, told)
    if profile.fixed_shapes:
        facts["fixed_dims"] = _fix_dims(settings, request)
    if profile.emulated and profile.device_for(chosen.provider) != "cpu":
        facts["emulated"] = f"an emulator of the device answers on {platform.machine()}"
    engines = tensorrt.Engines(told)
    started = time.perf_counter_ns()
    try:
        session = _made(ort, request.model, settings, listed)
    except Unsupported as error:
        if errors.PROVIDER_FAILED not in error.message:
            raise
        raise errors.provider_refused(profile, error, "") from error
    facts["session_ns"] = time.perf_counter_ns() - started
    facts |= engines.facts()
    # That it is listed proves nothing; that it is not, proves enough.
    if provider not in session.get_providers():
        log = errors.heard(lambda: _made(ort, request.model, settings, listed))
        raise errors.provider_refused(profile, RuntimeError("no reason given"), log)
    return Opened(session, provider, told, facts)


def restrict_to(text: str) -> list[int]:
    """Bind this process to the processors of ``text`` (``0-3,6``); return those it now has.

    Threads inherit it, so it comes before any session. Raises Unsupported.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise Unsupported("this system does not bind a process to processors", "leave out cpus=")
    parts = [_RANGE.fullmatch(part) for part in text.split(",")]
    wanted = {
        number
        for part in parts
        if part is not None
        for number in range(int(part[1]), int(part[2] or part[1]) + 1)
    }
    allowed = os.sched_getaffinity(0)
    if None in parts or not wanted or not wanted <= allowed:
        listed = ",".join(map(str, sorted(allowed)))
        raise Unsupported(f"cpus={text!r}: this process may use {listed}", "--set cpus=0-1")
    os.sched_setaffinity(0, wanted)
    return sorted(os.sched_getaffinity(0))


def _made(ort: Any, model: str, settings: Any, providers: list[Any] | None) -> Any:
    try:
        return ort.InferenceSession(model, settings, providers=providers, enable_fallback=0)
    except Exception as error:
        raise errors.translate(error, "load") from error


def _check_options(profile: ProviderProfile, request: BuildRequest, chosen: Choice) -> None:
    """Refuse what the provider would accept and then not do."""
    device = chosen.provider.get("device_type")
    if device is not None and device.partition(".")[0] not in DEVICES:
        # OpenVINO's provider takes any name and runs on a device of its own choice.
        raise Unsupported(
            f"device_type={device!r} is no one device of OpenVINO",
            f"one of {', '.join(DEVICES)}, or GPU.0, GPU.1 …",
        )
    if _has_graph(chosen.provider) and request.boundary == "host" and profile.memory != "cpu":
        raise Unsupported(
            "a CUDA graph reads and writes fixed device memory, which --boundary host has not",
            "use --boundary device",
        )


def _has_graph(told: Mapping[str, str]) -> bool:
    names = ("enable_cuda_graph", "trt_cuda_graph_enable")
    return any(options.is_on(told.get(name)) for name in names)


def _fix_dims(settings: Any, request: BuildRequest) -> dict[str, int]:
    """Give the open dims of the file the values that they have in this cell; return them.

    Raises Unsupported for one without a name: ONNX Runtime fixes dims by name.
    """
    for spec in request.inputs:
        if spec.shape is None or None in spec.shape:
            raise Unsupported(
                f"input {spec.name!r} has an open dimension without a name, which cannot be fixed",
                "export it with named or fixed dimensions",
            )
    found = {
        dim: value
        for spec in request.inputs
        for dim, value in zip(spec.shape or (), request.shapes.get(spec.name, ()), strict=False)
        if isinstance(dim, str)
    }
    for name, value in found.items():
        settings.add_free_dimension_override_by_name(name, value)
    return found


def _add(
    ort: Any, profile: ProviderProfile, settings: Any, told: dict[str, str]
) -> list[Any] | None:
    """Add the provider to ``settings``; return what to name to a runtime that cannot do that."""
    if not hasattr(settings, "add_provider"):  # before 1.23
        return [(profile.provider, told), CPU_PROVIDER]
    try:
        settings.add_provider(profile.provider, told)
    except Exception as error:
        log = errors.heard(lambda: ort.SessionOptions().add_provider(profile.provider, told))
        raise errors.provider_refused(profile, error, log) from error
    shared = {name: told[name] for name in ("device_id",) if name in told}
    for name in profile.then:
        with contextlib.suppress(Exception):  # what it would have taken is then left to the CPU
            settings.add_provider(name, shared)
    return None


def _add_plugin(
    ort: Any, profile: ProviderProfile, settings: Any, chosen: Choice, facts: JsonObject
) -> str:
    """Load the plugin, add its provider to ``settings`` and return the provider's name."""
    if not hasattr(ort, "register_execution_provider_library"):
        message = f"ONNX Runtime {ort.__version__} takes no plugins; 1.23 does"
        raise Unsupported(message, "update onnxruntime")
    library = _library(profile, chosen)
    before = {device.ep_name for device in ort.get_ep_devices()}
    named = chosen.own.get("provider_name") or (
        "" if profile.provider == PLUGIN_PROVIDER else profile.provider
    )
    try:
        ort.register_execution_provider_library(
            named or library.stem.removeprefix("lib"), str(library)
        )
    except Exception as error:
        if errors.is_library_missing(error):
            raise errors.provider_refused(profile, error, "") from error
        raise Unsupported(
            f"{library.name} is no provider library for ONNX Runtime {ort.__version__}: {error}",
            "the path has to be that of a plugin's own library",
        ) from error
    devices = ort.get_ep_devices()
    new = sorted({device.ep_name for device in devices} - before)
    provider = named or (new[0] if len(new) == 1 else "")
    mine = [device for device in devices if device.ep_name == provider]
    if not mine:
        offered = ", ".join(new) or "none"
        raise NotInstalled(
            f"{library.name} offers no device for {provider or 'one provider'} on this machine; "
            f"providers that it has devices for: {offered}",
            "--set provider_name=NAME chooses one" if new else "this machine lacks its device",
        )
    index = _index(chosen.own.get("ep_device", "0"), mine)
    facts["plugin"] = {
        "provider": provider,
        "library": library.name,
        "sha256": _sha256(library),
        "device": index,
        "devices": [_described(device) for device in mine],
    }
    try:
        settings.add_provider_for_devices([mine[index]], {**chosen.provider, **chosen.unchecked})
    except Exception as error:
        raise errors.provider_refused(profile, error, "") from error
    return provider


def _library(profile: ProviderProfile, chosen: Choice) -> Path:
    if profile.provider != PLUGIN_PROVIDER:
        try:
            return Path(importlib.import_module(profile.plugin).get_library_path())
        except (ImportError, OSError, RuntimeError) as error:
            raise NotInstalled(str(error), probe.install_hint(profile)) from error
    path = Path(chosen.own.get("library", ""))
    if not path.is_absolute() or not path.is_file():
        raise Unsupported(
            "ort-plugin needs the whole path of the provider's library"
            + (f"; {path} is none" if chosen.own.get("library") else ""),
            "--set library=/path/to/libprovider.so",
        )
    return path


def _index(text: str, devices: list[Any]) -> int:
    if not text.isdecimal() or int(text) >= len(devices):
        listed = "; ".join(f"{i}: {_described(device)}" for i, device in enumerate(devices))
        raise Unsupported(f"ep_device={text!r}: there is {listed}", "--set ep_device=0")
    return int(text)


def _described(device: Any) -> str:
    kind = str(device.device.type).rpartition(".")[2]
    return f"{kind} {device.ep_vendor}".strip()


def _sha256(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def _preload(ort: Any) -> JsonObject:
    """Load CUDA and cuDNN from NVIDIA's wheels; what fails is printed by ONNX Runtime, not raised.

    Where that matters, adding the provider raises right after.
    """
    if not hasattr(ort, "preload_dlls"):  # before 1.21
        return {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(Exception):
        ort.preload_dlls()
    lines = [line for line in said.getvalue().splitlines() if line.startswith("Failed")]
    return {"preload": lines} if lines else {}
