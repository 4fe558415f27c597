"""Where ONNX Runtime ran each node, and for how long: assignment info and profile together.

Neither is enough alone. The assignment is recorded when the graph is partitioned, before fusion,
so it knows all nodes of the model but no times; the profile knows the kernels that really ran.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.adapting import longest_first, mainly
from onnxbench.runtimes._onnxruntime_precision import PACKED, has_assignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxbench.runtimes._onnxruntime_precision import Naming
    from onnxbench.types import OpTime, PlacementDoc

_FLOATS = ("float", "float16", "bfloat16", "double")
_HEAVY = ("Conv", "Gemm", "MatMul", "Attention", "LSTM", "GRU", "RNN", "Einsum")
"""Parts of names of operators whose inputs show in which type the model is computed."""

_QUANTIZED = ("QuantizeLinear", "QLinear", "Integer", "MatMulNBits")
"""Parts of names of operators that compute, or may be fused to compute, in narrow integers."""


class Profile:
    """The profile of one session; the first question ends the recording.

    ``shown``: names of providers → what placement calls them, where it is another.
    """

    def __init__(self, session: Any, naming: Naming, shown: Mapping[str, str]) -> None:
        self._session = session
        self._naming = naming
        self._shown = shown
        self._kernels: list[dict[str, Any]] | None = None
        self._quantized: set[str] = set()

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return nodes and shares per provider, and the effective precision."""
        times = Counter[str]()
        for kernel in self._recorded():
            times[kernel["args"]["provider"]] += kernel["dur"]
        operators = self._assigned()
        all_nodes = sum(counts.total() for counts in operators.values())
        all_time = times.total()
        placed = [
            self._placed(provider, operators.get(provider, Counter()), all_nodes,
                         times[provider], all_time)
            for provider in sorted({*operators, *times})
        ]  # fmt: skip
        if not placed:  # every node was folded away: none is anywhere else
            first = self._session.get_providers()[0]
            placed = [self._placed(first, Counter(), 0, 0, 0)]
        return placed, self._precision()

    def _placed(
        self, provider: str, operators: Counter[str], all_nodes: int, time: int, all_time: int
    ) -> PlacementDoc:
        nodes = operators.total()
        found: PlacementDoc = {
            "provider": self._shown.get(provider, provider),
            "nodes": nodes,
            "node_share": nodes / all_nodes if all_nodes else 0.0,
            "time_share": time / all_time if all_time else None,
            "operators": dict(operators.most_common()),
        }
        if not all_time:
            found["time_reason"] = "the profile has no kernel, or none that took a microsecond"
        return found

    def _assigned(self) -> dict[str, Counter[str]]:
        """Return the operators on each provider: as assigned or, before 1.24, as they ran."""
        found: dict[str, Counter[str]] = {}
        if has_assignment(self._session):
            for part in self._session.get_provider_graph_assignment_info():
                counts = found.setdefault(part.ep_name, Counter())
                for node in part.get_nodes():
                    counts[_qualified(node.domain, node.op_type)] += 1
        else:
            kernels = {kernel["name"]: kernel["args"] for kernel in self._recorded()}
            for arguments in kernels.values():
                counts = found.setdefault(arguments["provider"], Counter())
                counts[arguments.get("op_name", "")] += 1
        self._quantized = {
            provider
            for provider, counts in found.items()
            if any(part in op for op in counts for part in _QUANTIZED)
        }
        return found

    def op_times(self) -> list[OpTime]:
        """Return time per kernel over all runs but the first, the longest first.

        Kernel names are those after fusion and carry the name of an output tensor.
        """
        durations: dict[tuple[str, str, str], list[int]] = {}
        for kernel in self._recorded():
            arguments = kernel["args"]
            name = kernel["name"].removesuffix("_kernel_time")
            provider = arguments.get("provider", "")
            key = (name, arguments.get("op_name", ""), self._shown.get(provider, provider))
            durations.setdefault(key, []).append(kernel["dur"] * 1000)
        # The first run of each kernel also fills caches and arenas: left out if others follow.
        warm = {key: times[1:] or times for key, times in durations.items()}
        return longest_first((*key, sum(times), len(times)) for key, times in warm.items())

    def _precision(self) -> str | None:
        """Return the precision that most of the time of heavy operators was computed in.

        Asked of the kernels that ran: an FP16 model on the CPU provider shows float here.
        """
        spent = Counter[tuple[str, bool]]()
        for kernel in self._recorded():
            arguments = kernel["args"]
            types = [t for shape in arguments.get("input_type_shape", []) for t in shape]
            provider = arguments.get("provider", "")
            operator = arguments.get("op_name", "")
            heavy = provider in self._naming.silent or any(part in operator for part in _HEAVY)
            kind = next((t for t in types if t in _FLOATS or t.endswith("int8")), None)
            if kind == "float" and operator == PACKED:
                kind = PACKED
            if kind is not None:
                quantized = provider in self._quantized
                named = self._naming.of(provider, kind, heavy=heavy, quantized=quantized)
                spent[named or "", heavy] += kernel["dur"] + 1
        return mainly(spent)

    def _recorded(self) -> list[dict[str, Any]]:
        if self._kernels is None:
            path = Path(self._session.end_profiling())
            events = json.loads(path.read_text(encoding="utf-8", errors="replace"))
            path.unlink(missing_ok=True)
            self._kernels = [
                event
                for event in events
                if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
            ]
        return self._kernels


def _qualified(domain: str, operator: str) -> str:
    return operator if domain in ("", "ai.onnx") else f"{domain}::{operator}"
