"""Runtime adapters. Installed as ``onnxbench.runtimes``; found through entry points.

Part of the worker bundle: stdlib, numpy and the runtime itself only, Python ≥ 3.10.
"""
