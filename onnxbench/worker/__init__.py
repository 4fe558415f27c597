"""Everything that runs in the child: guard, clock, inputs, loop, wire format.

Part of the worker bundle: stdlib and numpy only, Python ≥ 3.10. Nothing here prints, and nothing
here computes statistics beyond what decides when a loop ends.
"""
