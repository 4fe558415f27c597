"""Facts of the machine: processor, memory, load, host, and what makes it noisy.

Every probe reads the kernel's own files through `kernel.Kernel` and answers ``None`` for what this
machine does not tell; none of them raises, on any platform. Part of the worker bundle: stdlib
only, Python ≥ 3.10.
"""
