"""Every trap of the analyzer as a tiny model with its analytic truth: at least one per row.

They serve the tests here and the comparison with other counters in benchmarks/analyzer.
"""

from __future__ import annotations

from tests.graph.operators import (
    probes_elementwise,
    probes_graphs,
    probes_products,
    probes_sequences,
)
from tests.graph.operators.probing import Probe

PROBES: tuple[Probe, ...] = (
    *probes_products.PROBES,
    *probes_sequences.PROBES,
    *probes_elementwise.PROBES,
    *probes_graphs.PROBES,
)
