"""What every operator costs: one row per operator, beside its rule, in the module of its family.

`find` is the way in. A family module ends with its ``ROWS``; `onnxbench.graph.operators.table`
puts them together and refuses an operator that two families claim.
"""
