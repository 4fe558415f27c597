"""Where ONNX Runtime ran each node, and for how long: assignment info and profile together.

Neither is enough alone. The assignment is recorded when the graph is partitioned, before fusion,
so it knows all nodes of the model but no times; the profile knows the kernels that really ran.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxbench.types import OpTime, PlacementDoc

_FLOATS = ("float", "float16", "bfloat16", "double")
_HEAVY = ("Conv", "Gemm", "MatMul", "Attention", "LSTM", "GRU", "RNN", "Einsum")
"""Parts of names of operators whose inputs show in which type the model is computed."""


class Profile:
    """The profile of one session; the first question ends the recording."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._kernels: list[dict[str, Any]] | None = None

    def placement(self) -> tuple[list[PlacementDoc], str | None]:
        """Return nodes and shares per provider, and the effective precision."""
        nodes = Counter[str]()
        for part in self._session.get_provider_graph_assignment_info():
            nodes[part.ep_name] += len(part.get_nodes())
        times = Counter[str]()
        for kernel in self._recorded():
            times[kernel["args"]["provider"]] += kernel["dur"]
        all_nodes, all_time = nodes.total(), times.total()
        placed: list[PlacementDoc] = [
            {
                "provider": provider,
                "nodes": nodes[provider],
                "node_share": nodes[provider] / all_nodes if all_nodes else 0.0,
                "time_share": times[provider] / all_time if all_time else None,
            }
            for provider in sorted({*nodes, *times})
        ]
        return placed, self._precision()

    def op_times(self) -> list[OpTime]:
        """Return time per kernel over all runs but the first, the longest first.

        Kernel names are those after fusion and carry the name of an output tensor.
        """
        durations: dict[tuple[str, str, str], list[int]] = {}
        for kernel in self._recorded():
            arguments = kernel["args"]
            name = kernel["name"].removesuffix("_kernel_time")
            key = (name, arguments.get("op_name", ""), arguments.get("provider", ""))
            durations.setdefault(key, []).append(kernel["dur"] * 1000)
        # The first run of each kernel also fills caches and arenas: left out if others follow.
        warm = {key: times[1:] or times for key, times in durations.items()}
        total = sum(map(sum, warm.values())) or 1
        rows: list[OpTime] = [
            {
                "name": name,
                "op": op,
                "provider": provider,
                "ns": sum(times),
                "share": sum(times) / total,
                "calls": len(times),
            }
            for (name, op, provider), times in warm.items()
        ]
        return sorted(rows, key=lambda row: -row["ns"])

    def _precision(self) -> str | None:
        """Return the type that most of the time of heavy operators was computed in.

        Asked of the kernels that ran: an FP16 model on this provider shows float here.
        """
        spent = Counter[str]()
        for kernel in self._recorded():
            arguments = kernel["args"]
            types = [t for shape in arguments.get("input_type_shape", []) for t in shape]
            heavy = any(part in arguments.get("op_name", "") for part in _HEAVY)
            kind = next((t for t in types if t in _FLOATS or t.endswith("int8")), None)
            if kind is not None:
                # A model without heavy operators still has a type; it must not outvote them.
                spent[kind] += kernel["dur"] * (1000 if heavy else 1) + 1
        names = {"float": "float32", "double": "float64"}
        return names.get(top := spent.most_common(1)[0][0], top) if spent else None

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
