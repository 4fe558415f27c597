"""The table of providers: what each needs, what may be set, and how its precision is named."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from onnxbench.errors import NotInstalled, Unsupported
from onnxbench.runtimes import _onnxruntime_options as options
from onnxbench.runtimes import _onnxruntime_probe as probe
from onnxbench.runtimes import _onnxruntime_profiles as profiles
from onnxbench.runtimes import _onnxruntime_tensorrt as tensorrt
from onnxbench.runtimes import onnxruntime as adapter
from onnxbench.runtimes._onnxruntime_precision import FAST_MATH, Naming
from onnxbench.runtimes._onnxruntime_profile import Profile
from onnxbench.types import BuildRequest, TensorSpec
from tests.runtimes import models
from tests.runtimes.running import facts_of, good, installed_environment, target_in

if TYPE_CHECKING:
    from onnxbench.protocols import Target

ADAPTERS = [value for value in vars(adapter).values() if isinstance(value, adapter.OnnxRuntime)]
ORT = f"{adapter.__name__}:CPU"
LINEAR = {"x": (2, 3)}


def request(tmp_path: Path, **changes: Any) -> BuildRequest:
    fields: dict[str, Any] = {
        "model": "",
        "threads": 3,
        "boundary": "host",
        "precision": "model",
        "options": {},
        "profile": False,
        "scratch": str(tmp_path),
    }
    return BuildRequest(**fields | changes)


# ------------------------------------------------------------------------------------- the table


def test_every_row_has_one_name_and_a_known_boundary() -> None:
    names = [each.name for each in ADAPTERS]
    assert len(set(names)) == len(names) == 13
    for each in ADAPTERS:
        row = each.profile
        assert row.distributions, row.name
        assert set(row.boundaries) <= {"host", "device"}
        assert set(row.for_model) <= set(row.options), row.name
        assert set(row.lowering) <= set(row.options), row.name
        taken = (*row.own, *row.options, *options.ATTRIBUTES, *options.CONFIG_KEYS)
        assert len(set(taken)) == len(taken), f"{row.name}: one option, two meanings"


def test_only_what_ran_on_its_own_hardware_is_called_verified() -> None:
    verified = {each.name for each in ADAPTERS if not each.profile.unverified}
    assert verified == {"cpu", "openvino-ep", "ort-plugin"}
    page = (Path(__file__).parents[2] / "docs/gpu-status.md").read_text(encoding="utf-8")
    for each in ADAPTERS:
        if each.profile.unverified:
            assert f"| `{each.name}` |" in page, "docs/gpu-status.md lists what is not verified"


def test_the_manual_lists_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/options.md").read_text(encoding="utf-8")
    for each in ADAPTERS:
        for name in (*each.profile.own, *each.profile.options):
            assert f"`{name}`" in page, f"{each.name}: {name}"


def test_a_probe_imports_and_loads_nothing() -> None:
    source = (
        f"import sys, {adapter.__name__} as a\n"
        "found = [v.probe() for v in vars(a).values() if isinstance(v, a.OnnxRuntime)]\n"
        "maps = open('/proc/self/maps').read() if sys.platform == 'linux' else ''\n"
        "print(len(found), 'onnxruntime' in sys.modules, 'libcuda.so' in maps)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["13", "False", "False"]


def test_what_no_package_can_help_says_so() -> None:
    for each in ADAPTERS:
        found = each.probe()
        row = each.profile
        wrong = (row.systems and platform.system() not in row.systems) or (
            row.machines and platform.machine().lower() not in row.machines
        )
        lacks_driver = (row.nvidia and not probe.has_nvidia_driver()) or (
            row.device_file and not Path(row.device_file).exists()
        )
        in_no_wheel = row.symbol and not found.available
        assert found.possible == (not wrong and not lacks_driver and not in_no_wheel), row.name
        assert found.available or (found.reason and found.hint), row.name
        assert found.unverified == row.unverified


@pytest.mark.skipif(probe.has_nvidia_driver(), reason="this machine has NVIDIA's driver")
def test_without_a_driver_cuda_is_refused_before_anything_is_installed() -> None:
    for each in (adapter.CUDA, adapter.TENSORRT, adapter.TENSORRT_RTX):
        found = each.probe()
        assert (found.available, found.possible) == (False, False)
        assert "libcuda.so.1" in found.reason


def test_a_build_without_a_provider_is_not_available_for_it() -> None:
    assert not adapter.XNNPACK.probe().available
    assert "built without XnnpackExecutionProvider" in adapter.XNNPACK.probe().reason
    found = adapter.OPENVINO_EP.probe()
    assert not found.available
    assert found.hint == "onnxbench install onnxruntime-openvino"


@pytest.mark.parametrize(
    ("environment", "name"),
    [("onnxruntime-openvino", "OPENVINO_EP"), ("onnxruntime-gpu", "CUDA")],
)
def test_the_build_itself_says_whose_module_it_is(
    monkeypatch: pytest.MonkeyPatch, environment: str, name: str
) -> None:
    """A folder with the gpu build and no metadata, put first on the path, is recognised."""
    there = installed_environment(monkeypatch, environment)
    (folder,) = there.interpreter.parents[1].glob("lib/python*/site-packages")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)  # another test may have it
    monkeypatch.setattr(probe, "has_nvidia_driver", lambda: True)
    assert probe.installed_build() == (environment, there.versions[environment])
    found = getattr(adapter, name).probe()
    assert (found.available, found.distribution) == (True, environment)
    assert adapter.CPU.probe().available


@pytest.mark.skipif(platform.machine() in ("aarch64", "arm64"), reason="this is ARM")
def test_arm_is_refused_elsewhere(target: Target, tmp_path: Path) -> None:
    assert not adapter.ARM.probe().possible
    model = models.linear(tmp_path / "m.onnx")
    result = facts_of(target, f"{adapter.__name__}:ARM", model, LINEAR)
    assert result.status == "provider-missing"
    assert result.error is not None
    assert "needs an aarch64" in result.error["message"]


# ----------------------------------------------------------------------------------- the options


@pytest.mark.parametrize("row", [each.profile for each in ADAPTERS], ids=lambda row: row.name)
def test_a_mistyped_option_is_answered_with_the_nearest(
    tmp_path: Path, row: profiles.ProviderProfile
) -> None:
    for name in (*row.own, *row.options, "session.disable_prepacking"):
        with pytest.raises(Unsupported) as caught:
            options.choose(row, request(tmp_path, options={f"{name}_": "1"}))
        assert caught.value.hint == f"did you mean --set {name}=…?"


def test_options_go_to_whom_they_belong(tmp_path: Path) -> None:
    given = {"device_id": "0", "execution_mode": "sequential", "use_tf32": "1"}
    found = options.choose(profiles.CUDA, request(tmp_path, options=given, precision="native"))
    assert found.provider == {"device_id": "0", "use_tf32": "1"}
    assert found.session == {"execution_mode": "sequential"}


def test_precision_model_multiplies_floats_with_weights_of_few_bits_as_floats(
    tmp_path: Path,
) -> None:
    level = {"session.qdq_matmulnbits_accuracy_level": "1"}
    assert options.choose(profiles.CPU, request(tmp_path)).session == level
    assert options.choose(profiles.CPU, request(tmp_path, precision="native")).session == {}


def test_precision_model_keeps_tf32_off_and_native_leaves_it(tmp_path: Path) -> None:
    model = options.choose(profiles.CUDA, request(tmp_path))
    native = options.choose(profiles.CUDA, request(tmp_path, precision="native"))
    assert (model.provider, native.provider) == ({"use_tf32": "0"}, {})


@pytest.mark.parametrize("name", profiles.TENSORRT.lowering)
def test_fp16_takes_an_fp16_graph(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unsupported, match="less than the graph declares"):
        options.choose(profiles.TENSORRT, request(tmp_path, options={name: "1"}))
    for allowed in ({"options": {name: "0"}}, {"options": {name: "1"}, "precision": "native"}):
        found = options.choose(profiles.TENSORRT, request(tmp_path, **allowed))
        assert name in found.provider


def test_a_provider_with_threads_of_its_own_gets_them(tmp_path: Path) -> None:
    found = options.choose(profiles.OPENVINO_EP, request(tmp_path))
    assert found.provider["num_of_threads"] == "3"
    found = options.choose(profiles.XNNPACK, request(tmp_path))
    assert found.provider["intra_op_num_threads"] == "3"


# ------------------------------------------------------------------- the processors of the process


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_a_process_is_bound_to_the_processors_that_were_named(
    target: Target, tmp_path: Path
) -> None:
    last = max(os.sched_getaffinity(0))
    model = models.linear(tmp_path / "m.onnx")
    facts = good(facts_of(target, ORT, model, LINEAR, options={"cpus": str(last)}))["facts"]
    assert facts["cpus"] == [last]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
@pytest.mark.parametrize("cpus", ["x", "1-", "3-1", "9999", "-1", "0-9999", "1.5", "99999999999"])
def test_processors_that_are_not_there_are_refused(
    target: Target, tmp_path: Path, cpus: str
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    result = facts_of(target, ORT, model, LINEAR, options={"cpus": cpus})
    assert (result.status, result.exit_code) == ("unsupported", 0)
    assert result.error is not None
    assert "cpus=" in result.error["message"]


@pytest.mark.parametrize(
    ("threads", "asked", "spins"),
    [(2, {}, True), (2, {"session.intra_op.allow_spinning": "0"}, False), (1, {}, False)],
)
def test_spinning_and_control_of_threads_are_said(
    target: Target, tmp_path: Path, threads: int, asked: dict[str, str], spins: bool
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    facts = good(facts_of(target, ORT, model, LINEAR, threads=threads, options=asked))["facts"]
    assert (facts["spinning"], facts["threads_control"]) == (spins, "exact")


# ------------------------------------------------------------------------- placement and precision


def test_operators_stand_with_their_provider(target: Target, tmp_path: Path) -> None:
    model = models.chain(tmp_path / "m.onnx", "Exp", "Exp", "Tan")
    (row,) = good(facts_of(target, ORT, model, {"x": (4,)}))["placement"]
    assert row["operators"] == {"Exp": 2, "Tan": 1}
    assert "time_reason" not in row


def test_a_graph_without_kernels_has_no_share_of_time(target: Target, tmp_path: Path) -> None:
    model = models.save(tmp_path / "m.onnx", [], [("x", models.FLOAT, [2])],
                        [("x", models.FLOAT, [2])])  # fmt: skip
    found = good(facts_of(target, ORT, model, {"x": (2,)}))
    assert all(row["time_share"] is None and row["time_reason"] for row in found["placement"])


class Older:
    """A real session as it was before 1.24, which could not say where it assigned its nodes."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        if name == "get_provider_graph_assignment_info":
            raise AttributeError(name)
        return getattr(self._session, name)


def test_without_assignments_the_kernels_that_ran_have_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.enable_profiling = True
    settings.profile_file_prefix = str(tmp_path / "profile")
    path = str(models.chain(tmp_path / "m.onnx", "Exp", "Exp", "Tan"))
    session = ort.InferenceSession(path, settings, providers=[profiles.CPU_PROVIDER])
    for _ in range(3):
        session.run(None, {"x": np.ones(4, np.float32)})
    (row,), precision = Profile(Older(session), Naming(), {}).placement()
    assert (row["provider"], row["nodes"]) == (profiles.CPU_PROVIDER, 3)
    assert row["operators"] == {"Exp": 2, "Tan": 1}, "each kernel once, however often it ran"
    assert precision == "float32"


def test_tf32_is_named_where_products_may_run_in_it() -> None:
    naming = Naming(lowered={("CUDAExecutionProvider", "float"): "tf32"})
    cuda = "CUDAExecutionProvider"
    assert naming.of(cuda, "float", heavy=True, quantized=False) == "tf32"
    assert naming.of(cuda, "float", heavy=False, quantized=False) == "float32"
    assert naming.of(cuda, "float16", heavy=True, quantized=False) == "float16"
    assert naming.of(profiles.CPU_PROVIDER, "float", heavy=True, quantized=False) == "float32"


def test_what_was_told_does_not_name_a_quantized_graph() -> None:
    naming = Naming(silent={"OpenVINOExecutionProvider": "float32"})
    for quantized, expected in ((False, "float32"), (True, None)):
        found = naming.of("OpenVINOExecutionProvider", "float", heavy=True, quantized=quantized)
        assert found == expected


@pytest.mark.skipif(platform.machine() in ("aarch64", "arm64"), reason="there it may be bfloat16")
def test_fast_math_that_this_processor_has_not_changes_nothing(
    target: Target, tmp_path: Path
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    found = good(facts_of(target, ORT, model, LINEAR, options={FAST_MATH: "1"}))
    assert found["precision_effective"] == "float32"


# ------------------------------------------------------------------------------ TensorRT's engines


def test_engines_are_kept_in_the_private_folder_alone(tmp_path: Path) -> None:
    cached = tensorrt.engine_options(request(tmp_path, cache="/private"), {})
    assert cached["trt_engine_cache_enable"] == "1"
    assert cached["trt_engine_cache_path"] == "/private"
    for off in (
        tensorrt.engine_options(request(tmp_path, cache="/private"), {"engine_cache": "off"}),
        tensorrt.engine_options(request(tmp_path), {}),
    ):
        assert off == {"trt_engine_cache_enable": "0"}
    with pytest.raises(Unsupported, match="neither on nor off"):
        tensorrt.engine_options(request(tmp_path), {"engine_cache": "maybe"})
    for name in ("trt_engine_cache_path", "trt_timing_cache_path", "trt_engine_cache_enable"):
        with pytest.raises(Unsupported):  # nobody brings an engine: it is code
            options.choose(profiles.TENSORRT, request(tmp_path, options={name: "/theirs"}))


def test_an_engine_is_built_for_the_one_shape_of_the_cell(tmp_path: Path) -> None:
    open_ = TensorSpec("x", "float", ("N", 3, 224, 224))
    asked = request(tmp_path, inputs=(open_,), shapes={"x": (4, 3, 224, 224)})
    found = tensorrt.engine_options(asked, {})
    for which in ("min", "opt", "max"):
        assert found[f"trt_profile_{which}_shapes"] == "x:4x3x224x224"
    fixed = replace(asked, inputs=(replace(open_, shape=(4, 3, 224, 224)),))
    assert "trt_profile_min_shapes" not in tensorrt.engine_options(fixed, {})


def test_a_cached_engine_is_told_from_a_built_one(tmp_path: Path) -> None:
    told = tensorrt.engine_options(request(tmp_path, cache=str(tmp_path)), {})
    first = tensorrt.Engines(told)
    (tmp_path / "TensorrtExecutionProvider_1.engine").write_bytes(b"engine")
    built = first.facts()["engine"]
    assert built == {
        "cache": True,
        "cached": False,
        "build": built["build"],
        "files": {"TensorrtExecutionProvider_1.engine": 6},
    }
    reused = tensorrt.Engines(told).facts()["engine"]
    assert (reused["cached"], reused["build"]) == (True, built["build"])
    changed = tensorrt.Engines(told)
    (tmp_path / "TensorrtExecutionProvider_2.engine").write_bytes(b"another")
    assert changed.facts()["engine"]["cached"] is False
    assert tensorrt.Engines({}).facts() == {}


def test_a_build_is_told_from_another_of_the_same_size(tmp_path: Path) -> None:
    told = tensorrt.engine_options(request(tmp_path, cache=str(tmp_path)), {})
    engine = tmp_path / "TensorrtExecutionProvider_1.engine"
    found = []
    for stamp in (1_000_000_000, 2_000_000_000):
        engine.write_bytes(b"engine")
        os.utime(engine, ns=(stamp, stamp))
        found.append(tensorrt.Engines(told).facts()["engine"]["build"])
    assert None not in found
    assert found[0] != found[1]


def test_a_build_that_nothing_keeps_has_no_name(tmp_path: Path) -> None:
    off = tensorrt.engine_options(request(tmp_path, cache=str(tmp_path)), {"engine_cache": "off"})
    engine = tensorrt.Engines(off).facts()["engine"]
    assert engine == {"cache": False, "cached": False, "build": None, "files": {}}


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    """Precision ``model`` keeps TF32 out of TensorRT by the process's environment."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")


def test_tf32_is_kept_out_of_tensorrt_by_the_environment(tmp_path: Path) -> None:
    tensorrt.engine_options(request(tmp_path), {})
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "1"
    tensorrt.keep_out_tf32()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_rtx_captures_no_graph_unless_told(tmp_path: Path) -> None:
    """Its own default is to capture one (docs of the plug-in, 2026-11)."""
    assert options.choose(profiles.TENSORRT_RTX, request(tmp_path)).provider == {
        "enable_cuda_graph": "0"
    }
    told = request(tmp_path, options={"enable_cuda_graph": "1"})
    assert options.choose(profiles.TENSORRT_RTX, told).provider == {"enable_cuda_graph": "1"}


def test_precision_model_refuses_products_that_round_to_int8(tmp_path: Path) -> None:
    level = "session.qdq_matmulnbits_accuracy_level"
    with pytest.raises(Unsupported, match="less than the graph declares"):
        options.choose(profiles.CPU, request(tmp_path, options={level: "4"}))
    assert options.choose(profiles.CPU, request(tmp_path, options={level: "1"})).session[level]
    native = request(tmp_path, options={level: "4"}, precision="native")
    assert options.choose(profiles.CPU, native).session == {level: "4"}


def test_flags_are_spelled_as_tensorrt_reads_them() -> None:
    told = {"trt_cuda_graph_enable": "1", "trt_layer_norm_fp32_fallback": "off", "device_id": "1"}
    assert tensorrt.spelled(told) == {
        "trt_cuda_graph_enable": "True",
        "trt_layer_norm_fp32_fallback": "False",
        "device_id": "1",
    }


# ------------------------------------------------------------------------------------ boundaries


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("CUDA", {"options": {"enable_cuda_graph": "1"}}, "--boundary host has not"),
        ("WEBGPU", {"boundary": "device"}, "no values that stay on its device"),
    ],
)
def test_boundaries_that_make_no_sense_are_refused(
    target: Target, tmp_path: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    model = models.linear(tmp_path / "m.onnx")
    result = facts_of(target, f"{adapter.__name__}:{name}", model, LINEAR, **changes)
    assert result.error is not None
    assert (result.status, result.error["phase"]) == ("unsupported", "load")
    assert said in result.error["message"]


def test_an_adapter_says_what_is_missing_before_it_imports(tmp_path: Path) -> None:
    if platform.system() == "Windows":
        pytest.skip("DirectML is at home here")
    with pytest.raises(NotInstalled, match="needs Windows"):
        adapter.DML.build(request(tmp_path))


def test_two_environments_serve_two_runtimes(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    """The same graph on the CPU provider of three builds gives answers of the same shape."""
    model = models.linear(tmp_path / "m.onnx")
    hashes = set()
    for name in ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-ggml"):
        target = target_in(installed_environment(monkeypatch, name), cache)
        found = good(facts_of(target, ORT, model, LINEAR))
        assert [row["provider"] for row in found["placement"]] == [profiles.CPU_PROVIDER]
        hashes.add(found["outputs_sha256"])
    assert len(hashes) == 1
