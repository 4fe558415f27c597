"""The contract of a runtime adapter, as tests."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from onnxbench import environments, registry
from onnxbench.probes.device import KINDS
from onnxbench.testing import models
from onnxbench.testing.children import Children, described
from onnxbench.worker.judging import narrowest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.protocols import RuntimeAdapter
    from onnxbench.testing.models import Model
    from onnxbench.types import ChildResult, Measurement, PlacementDoc

UNKNOWN_OPTION = "no_such_option_of_any_runtime"
REFUSED = ("unsupported", "refused-input")

_IN_NUMPY = {"float": "float32", "double": "float64", "bfloat16": "uint16"}
"""Types of outputs that numpy calls by another name, or carries as raw bits."""


class AdapterContract:
    """What every runtime adapter has to do. Subclass it in a test module of yours.

    ::

        class TestMine(AdapterContract):
            adapter = "my_package.my_module:MyAdapter"

    Each test runs the adapter in worker processes of its own, as a measurement does; the test's
    process never imports the runtime. Numbers of seconds are not judged.

    ``adapter``: as in the entry point. ``options``: settings that it is always tested with.
    ``batches``: each has to be computed rightly or to be refused as unsupported, batch 1 never.
    ``dtypes``: element types of ONNX, in lower case, that have to be computed rightly in models of
    that type. ``released_share``: of the weights of a model of 64 MiB, how much ``close`` has to
    give back to the system.
    """

    adapter: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}
    batches: ClassVar[tuple[int, ...]] = (1, 2)
    dtypes: ClassVar[tuple[str, ...]] = ("float",)
    released_share: ClassVar[float] = 0.5

    _children: ClassVar[Children]
    _loaded: ClassVar[RuntimeAdapter]
    _folder: ClassVar[Path]
    _models: ClassVar[dict[str, Model]]

    @classmethod
    def interpreter(cls) -> str:
        """Return the Python that has the runtime: this one, or that of the adapter's environment.

        Override it to name another, or to skip where there is none.
        """
        found, capability = environments.runtime_interpreter(cls._loaded)
        assert capability.available, f"{capability.reason}; {capability.hint}"
        return str(found.path)

    @classmethod
    def model(cls, path: Path, batch: int = 1, dtype: str = "float") -> Model:
        """Write the model that most tests run; override it for a runtime that lacks an operator."""
        if dtype == "float":
            return models.convolution(path, batch)
        return models.products(path, batch, dtype)

    @classmethod
    def setup_class(cls) -> None:
        """Load the adapter, find its Python, and make room for its children."""
        loaded = registry.load(registry.Registered(cls.__name__, cls.adapter))
        cls._loaded = cast("RuntimeAdapter", loaded)
        interpreter = cls.interpreter()
        cls._models = {}
        cls._folder = Path(tempfile.mkdtemp(prefix="onnxbench-contract-"))
        cls._children = Children(cls.adapter, cls._loaded, interpreter, cls.options, cls._folder)

    @classmethod
    def teardown_class(cls) -> None:
        """Remove what the children left."""
        if "_folder" in vars(cls):
            shutil.rmtree(cls._folder, ignore_errors=True)

    # ------------------------------------------------------------------------------- the probe

    def test_names_are_strings(self) -> None:
        """Attributes that are read before anything is imported have the types they should."""
        adapter: Any = self._loaded
        assert isinstance(adapter.name, str), "name is no string"
        assert adapter.name, "name is empty"
        for attribute in ("modules", "distributions"):
            value = getattr(adapter, attribute, ())
            names = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
            assert names, f"{attribute} is no tuple of strings: {value!r}"
        for attribute in ("environment", "provider"):
            value = getattr(adapter, attribute, "")
            assert isinstance(value, str), f"{attribute} is no string: {value!r}"
        device = getattr(adapter, "device", "cpu")
        assert device in KINDS, f"device is {device!r}, which is none of {', '.join(KINDS)}"

    def test_probe_without_the_runtime(self) -> None:
        """Without any package but numpy, probe() says what is missing and what to type."""
        look = self._children.look_without()
        found = look.capability
        if not self._loaded.modules:
            return
        assert not found["available"], "probe() says available where nothing is installed"
        assert found["reason"], "probe() gives no reason"
        assert found["hint"] or not found["possible"], "probe() gives no hint: what to type"

    def test_probe_with_the_runtime(self) -> None:
        """Where the runtime is, probe() says so and which version, and imports nothing of it."""
        look = self._children.look()
        found = look.capability
        assert found["available"], f"probe() does not find the runtime: {found['reason']}"
        assert found["runtime"] == self._loaded.name, "Capability.runtime is not the adapter's name"
        assert look.imported == [], f"probe() imported {look.imported}: it has to be cheap"
        installed = look.versions.get(str(found["distribution"]))
        if installed is not None:
            told = found["version"]
            assert told == installed, f"probe() says version {told}, installed is {installed}"

    # ------------------------------------------------------------------------------ its answers

    def test_outputs_are_right(self) -> None:
        """Outputs agree with the reference on two inputs, in each of `batches` and `dtypes`."""
        for dtype in self.dtypes:
            for batch in self.batches:
                model = self._model(batch, dtype)
                result = self._facts(model)
                if batch > 1 and result.status == "unsupported":
                    self._is_typed_refusal(result)
                    continue
                parity = _good(result).get("parity", {})
                assert parity.get("passed") is True, f"batch {batch}, {dtype}: {parity}"
                outputs = [(each["name"], each["dtype"]) for each in parity["outputs"]]
                wanted = [
                    (each.name, _IN_NUMPY.get(each.dtype, each.dtype))
                    for each in model.artifact.outputs
                ]
                assert outputs == wanted, f"outputs are {outputs}, the file's are {wanted}"

    def test_outputs_repeat(self) -> None:
        """Equal inputs give equal bytes: twice in a process, in two, and before and after runs."""
        model = self._model()
        first = _good(self._facts(model))
        assert first["parity"]["deterministic"], "two runs of one process differ"
        timed = _good(self._children.run(model, "timed"))
        hashes = {timed["outputs_sha256"], timed["outputs_sha256_after"]}
        assert hashes == {first["outputs_sha256"]}, "two processes differ, or runs change outputs"
        assert timed["samples"] > 0, "a timed process took no sample"

    def test_boundaries(self) -> None:
        """Boundary device gives the same answers as host, or is refused as unsupported."""
        model = self._model()
        result = self._children.run(
            model, boundary="device", reference=self._children.answered(model)
        )
        if result.status == "unsupported":
            self._is_typed_refusal(result)
            return
        parity = _good(result).get("parity", {})
        assert parity.get("passed") is True, f"boundary device: {parity}"

    # ---------------------------------------------------------------------------- its refusals

    def test_an_unknown_operator_is_refused(self) -> None:
        """A model that the runtime cannot load is unsupported, with a hint, and no crash."""
        model = models.unknown_operator(self._folder / "unknown_operator.onnx")
        self._is_typed_refusal(self._children.run(model))

    def test_an_unknown_option_is_refused(self) -> None:
        """An option that the runtime does not have is never ignored: it may be a typing error."""
        result = self._children.run(self._model(), options={UNKNOWN_OPTION: "1"})
        self._is_typed_refusal(result)

    # ------------------------------------------------------------------------------- its facts

    def test_the_version_is_the_installed_one(self) -> None:
        """facts() names the version of the package that probe() names."""
        facts = _good(self._facts(self._model()))["facts"]
        told = facts.get("runtime_version")
        assert told, "facts() has no runtime_version"
        look = self._children.look()
        installed = look.versions.get(str(look.capability["distribution"])) or told
        same = told == installed or (
            told.startswith(installed) and told[len(installed)] not in ".0123456789"
        )
        assert same, f"facts() says version {told}, installed is {installed}"

    def test_threads_are_those_told(self) -> None:
        """facts() says whether threads can be told; where they can, as many are busy."""
        for told in (1, 2):
            facts = _good(self._children.run(self._heavy(), "timed", threads=told))["facts"]
            control = facts.get("threads_control")
            assert isinstance(control, str), f"facts()['threads_control'] is {control!r}"
            assert control, "facts()['threads_control'] is empty: say exact, or why not"
            spinning = facts.get("spinning")
            known = isinstance(spinning, bool) or (isinstance(spinning, str) and spinning)
            assert known, f"facts()['spinning'] is {spinning!r}"
            busy = facts["threads_busy"]
            if control == "exact" and busy is not None:
                assert busy == told, f"told {told} threads, {busy} are busy"

    def test_the_precision_is_named(self) -> None:
        """Where it is known in which type is computed, the name is one that can be compared."""
        measured = _good(self._facts(self._model()))
        named = measured.get("precision_effective")
        if named is None:
            reason = measured["facts"].get("precision_reason")
            assert reason, "no effective precision: facts()['precision_reason'] has to say why"
            return
        assert narrowest(named), f"effective precision {named!r} names no known type"

    def test_every_node_is_placed(self) -> None:
        """placement() shares all nodes, and all time or a reason, out among providers."""
        rows = _good(self._facts(self._model()))["placement"]
        assert rows, "placement() has no row"
        assert sum(row["nodes"] for row in rows) > 0, "placement() places no node"
        node_shares = [row["node_share"] for row in rows]
        assert _is_whole(node_shares), f"node shares add up to {sum(node_shares)}"
        times = [row["time_share"] for row in rows]
        known = [share for share in times if share is not None]
        if len(known) == len(times):
            assert _is_whole(known), f"time shares add up to {sum(known)}"
        for row in rows:
            _is_well_formed(row)

    def test_operator_times(self) -> None:
        """Where op_times() gives rows, each is complete and the shares add up to one."""
        rows = _good(self._children.run(self._model(), "op-times")).get("op_times", [])
        for row in rows:
            for field in ("name", "op", "provider"):
                value = row.get(field)
                assert isinstance(value, str), f"{field} of {row} is no text"
            assert row["name"] or row["op"], f"{row} names nothing"
            assert isinstance(row["ns"], int), f"ns of {row} is not a whole number"
            assert row["ns"] >= 0, f"{row} took less than no time"
            assert row["calls"] >= 1, f"{row} was never called"
        assert not rows or _is_whole([row["share"] for row in rows]), "shares do not add up to 1"

    # ------------------------------------------------------------------------------ its manners

    def test_close_frees_the_weights(self) -> None:
        """After close(), what a heavy model took more than a light one is given back."""
        small, large = (
            _good(self._children.run(model, threads=1)).get("memory", {}).get("phases", {})
            for model in (self._model(), self._heavy())
        )
        # Not USS: pages of libraries move in and out of it as other processes that map them end.
        kept = [phases["close"]["rss_bytes"] for phases in (small, large)]
        before = [phases["import"]["rss_bytes"] for phases in (small, large)]
        if None in (*kept, *before):  # not Linux
            return
        more = (kept[1] - before[1]) - (kept[0] - before[0])
        allowed = (1 - self.released_share) * models.HEAVY_BYTES
        assert more <= allowed, (
            f"{more / 2**20:.0f} MiB of the process are left after close() of a model with "
            f"{models.HEAVY_BYTES / 2**20:.0f} MiB of weights; {allowed / 2**20:.0f} MiB may be"
        )

    def test_interrupt_at_any_time(self) -> None:
        """interrupt() raises nothing and kills nothing, whenever another thread calls it."""
        result = self._children.interrupted(self._model())
        facts = _good(result)["facts"]
        assert facts["raised"] == [], f"interrupt() raised: {facts['raised'][:3]}"

    def test_a_conversion_is_kept(self) -> None:
        """What a converter wrote is found again, unchanged, by the next process."""
        if not self._children.is_converting:
            return
        model = self.model(self._folder / "to_convert.onnx")
        first, second = (self._children.convert(model) for _ in range(2))
        assert _good(first)["conversion"]["cached"] is False, "converted before it was asked"
        kept, made = _good(second)["conversion"], _good(first)["conversion"]
        assert kept["cached"] is True, "what was converted is not found again"
        assert kept["files"] == made["files"], "the files of the conversion have changed"

    # --------------------------------------------------------------------------------- helpers

    def _model(self, batch: int = 1, dtype: str = "float") -> Model:
        name = f"model-{batch}-{dtype}.onnx"
        if name not in self._models:
            self._models[name] = self.model(self._folder / name, batch, dtype)
        return self._models[name]

    def _heavy(self) -> Model:
        if "heavy.onnx" not in self._models:
            self._models["heavy.onnx"] = models.heavy(self._folder / "heavy.onnx")
        return self._models["heavy.onnx"]

    def _facts(self, model: Model) -> ChildResult:
        return self._children.run(model, reference=self._children.answered(model))

    @staticmethod
    def _is_typed_refusal(result: ChildResult) -> None:
        assert result.status in REFUSED, described(result)
        assert result.error is not None, described(result)
        assert result.error["message"], f"a refusal without words: {described(result)}"
        assert result.error["hint"], f"a refusal without a hint: {described(result)}"


def _good(result: ChildResult) -> Measurement:
    """Return what a child measured that had to end well."""
    assert result.status == "ok", described(result)
    assert result.measurement is not None, described(result)
    return result.measurement


def _is_whole(shares: list[float]) -> bool:
    return math.isclose(sum(shares), 1.0, abs_tol=1e-6)


def _is_well_formed(row: PlacementDoc) -> None:
    assert row["provider"], f"{row} has no provider"
    if row["time_share"] is None:
        assert row.get("time_reason"), f"{row} has no time share: time_reason has to say why"
    operators = row.get("operators")
    if operators is not None:
        counted = sum(operators.values())
        assert counted == row["nodes"], f"{row['provider']}: {row['nodes']} nodes, but {operators}"
