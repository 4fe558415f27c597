"""Measurements of what onnxbench promises about itself: ``python -m benchmarks`` from a clone.

One module per figure, each with ``measure(tiny) -> Figure``; its docstring says how the figure is
measured and is published with it in ``docs/figures.md``.
"""
