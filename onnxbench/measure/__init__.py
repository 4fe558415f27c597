"""Everything that is computed from samples, in the parent: pure functions, no clock, no I/O.

The unit of evidence is a process. Samples of one process give its median and its shape
(`distribution`, `percentile`); the medians of several processes give the estimate and its interval
(`interval`), tell when to stop (`stopping`) and how far to believe the number (`verdict`).
`summary` puts it all into a record, which can be recomputed from the stored samples at any time.
"""
