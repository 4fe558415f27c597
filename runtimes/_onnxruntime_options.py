"""Session options of ONNX Runtime: what may be set, and what the session says it has.

ONNX Runtime accepts any configuration key silently, a mistyped one too; so known keys are listed
here and others refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import refused_option
from onnxbench.errors import Unsupported
from onnxbench.runtimes._onnxruntime_profiles import CPU_PROVIDER, PLUGIN_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.runtimes._onnxruntime_profiles import ProviderProfile
    from onnxbench.types import BuildRequest, JsonObject

PLUGIN_PREFIX = "ep."
"""``--set ep.NAME=VALUE`` goes to a plugin given by path, which alone knows its options."""

ATTRIBUTES = (
    "graph_optimization_level",
    "execution_mode",
    "execution_order",
    "inter_op_num_threads",
    "enable_cpu_mem_arena",
    "enable_mem_pattern",
    "enable_mem_reuse",
    "use_deterministic_compute",
)
"""Attributes of SessionOptions that ``--set NAME=VALUE`` may change."""

CONFIG_FLAGS = (
    "session.intra_op.allow_spinning",
    "session.inter_op.allow_spinning",
    "session.set_denormal_as_zero",
    "session.disable_prepacking",
    "session.use_env_allocators",
    "session.use_device_allocator_for_initializers",
    "session.force_spinning_stop",
    "session.disable_aot_function_inlining",
    "session.disable_quant_qdq",
    "session.disable_double_qdq_remover",
    "session.enable_quant_qdq_cleanup",
    "session.qdqisint8allowed",
    "session.x64quantprecision",
    "optimization.enable_gelu_approximation",
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "mlas.disable_kleidiai",
)
CONFIG_KEYS = (
    *CONFIG_FLAGS,
    "session.dynamic_block_base",
    "session.qdq_matmulnbits_accuracy_level",
    "session.intra_op_thread_affinities",
    "optimization.minimal_build_optimizations",
    "optimization.disable_specified_optimizers",
)
"""Keys of onnxruntime_session_options_config_keys.h that bear on speed or memory on a CPU.

The flags are "0" or "1"; ONNX Runtime takes any other text for one of the two without a word.
"""

_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"0", "false", "off", "no"}


ACCURACY_LEVEL = "session.qdq_matmulnbits_accuracy_level"
FOR_MODEL = {ACCURACY_LEVEL: "1"}
"""Settings of every session under precision ``model``.

By default a product of floats with weights that a DequantizeLinear gives rounds its floats to INT8
(4e-3 off, against 4e-7 at level 1, which is float32; measured with 1.31.1).
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """``--set`` sorted by who takes it: the session, the provider, or this adapter (``own``).

    ``unchecked``: options passed to a plugin of which nobody here knows what it makes of them.
    """

    session: dict[str, str]
    provider: dict[str, str]
    own: dict[str, str]
    unchecked: dict[str, str]


def choose(profile: ProviderProfile, request: BuildRequest) -> Choice:
    """Return the options of ``request``, sorted, with what the precision and threads ask for.

    Raises Unsupported for an option that nobody takes, and for one that lowers the precision.
    """
    known = (*profile.own, *profile.options, *ATTRIBUTES, *CONFIG_KEYS)
    free = profile.provider == PLUGIN_PROVIDER
    found = Choice({}, {}, {}, {})
    found.provider.update(profile.defaults)
    if request.precision == "model":
        found.provider.update(profile.for_model)
        found.session.update(FOR_MODEL)
    if profile.threads_option:
        found.provider[profile.threads_option] = str(request.threads)
    for name, value in request.options.items():
        if name in profile.own:
            found.own[name] = value
        elif name in profile.options:
            _check_precision(profile, request, name, value)
            found.provider[name] = value
        elif free and name.startswith(PLUGIN_PREFIX):
            found.unchecked[name.removeprefix(PLUGIN_PREFIX)] = value
        elif name in (*ATTRIBUTES, *CONFIG_KEYS):
            if request.precision == "model" and FOR_MODEL.get(name, value) != value:
                raise Unsupported(
                    f"{name}={value} may compute in less than the graph declares",
                    f"--precision native --set {name}={value} measures it, labelled",
                )
            found.session[name] = value
        else:
            owner = "ONNX Runtime" if profile.provider == CPU_PROVIDER else profile.provider
            raise refused_option(owner, name, known, "see docs/reference/options.md")
    return found


def session_options(
    ort: Any, profile: ProviderProfile, request: BuildRequest, chosen: Mapping[str, str]
) -> Any:
    """Return the ``SessionOptions`` for ``request``.

    One pool of ``threads`` computes; operators run one after another. A provider with threads of
    its own gets them all, so that no second pool waits beside it. Raises Unsupported for a value
    that is not known.
    """
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1 if profile.threads_option else request.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    for name, demanded in profile.settings.items():
        setattr(settings, name, demanded)
    for name, value in chosen.items():
        if name in ATTRIBUTES:
            setattr(settings, name, _value(ort, settings, name, value))
        elif name in CONFIG_FLAGS:
            settings.add_session_config_entry(name, str(int(_truth(name, value))))
        else:
            settings.add_session_config_entry(name, value)
    if request.profile:
        settings.enable_profiling = True
        settings.profile_file_prefix = f"{request.scratch}/profile"
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return settings


def is_on(text: str | None) -> bool:
    """Tell whether a flag's text means yes."""
    return text is not None and text.lower() in _TRUE


def spinning(settings: Any) -> bool:
    """Return whether the idle threads of the session's pool wait busily; one thread never does.

    The default is what ONNX Runtime's own header says of ``session.intra_op.allow_spinning``.
    """
    if settings.intra_op_num_threads == 1:
        return False
    return entry(settings, "session.intra_op.allow_spinning") != "0"


def _check_precision(
    profile: ProviderProfile, request: BuildRequest, name: str, value: str
) -> None:
    if request.precision == "model" and name in profile.lowering and _truth(name, value):
        raise Unsupported(
            f"{name}={value} computes in less than the graph declares",
            "give a graph in that precision, or --precision native",
        )


def effective(settings: Any, asked: dict[str, str]) -> JsonObject:
    """Return the options as the session reports them; config keys only where they were set."""
    found: JsonObject = {
        name: _plain(getattr(settings, name)) for name in ("intra_op_num_threads", *ATTRIBUTES)
    }
    entries = {key: entry(settings, key) for key in CONFIG_KEYS}
    return found | {
        key: value for key, value in entries.items() if value is not None or key in asked
    }


def entry(settings: Any, key: str) -> str | None:
    """Return a config entry as the session has it, None where it was not set."""
    try:
        value: str = settings.get_session_config_entry(key)
    except Exception:  # noqa: BLE001 - the runtime raises its own Fail for a key that is not set
        return None
    return value


def _value(ort: Any, settings: Any, name: str, text: str) -> Any:
    enums = {
        "graph_optimization_level": ort.GraphOptimizationLevel,
        "execution_mode": ort.ExecutionMode,
        "execution_order": ort.ExecutionOrder,
    }
    if name in enums:
        members = enums[name].__members__
        short = {member.removeprefix("ORT_").removeprefix("ENABLE_").removesuffix("_ALL").lower():
                 member for member in members}  # fmt: skip
        member = members.get(text) or members.get(short.get(text.lower(), ""))
        if member is None:
            raise Unsupported(f"{name}={text!r} is not known", f"one of: {', '.join(members)}")
        return member
    if isinstance(getattr(settings, name), bool):
        return _truth(name, text)
    if not text.isdecimal() or len(text) > 9:
        raise Unsupported(f"{name}={text!r} is not a whole number", f"--set {name}=1")
    return int(text)


def _truth(name: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise Unsupported(f"{name}={text!r} is neither true nor false", f"--set {name}=1")
    return text.lower() in _TRUE


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | str) else getattr(value, "name", str(value))
