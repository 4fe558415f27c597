"""Every error onnxbench raises on purpose, in one tree.

::

    OnnxBenchError
    ├── UsageError              what was typed cannot be run; nothing was measured (exit 2)
    │   ├── CatalogError        models.yaml, with line and column
    │   └── PlanError           models, runtimes and workload do not fit together
    ├── ExportError             a model could not be turned into an ONNX file
    ├── InstallError            an environment could not be made
    ├── RefusedInput            a model file failed pre-flight and reaches no runtime
    ├── AdapterError            raised by runtime adapters, inside the worker
    │   ├── NotInstalled        the runtime or one of its libraries is missing
    │   ├── Unsupported         the runtime cannot run this model, shape, type or option
    │   ├── InputRefused        the runtime did not take the inputs that were made for it
    │   └── OutOfMemory
    ├── WorkerError             a child process did not keep its contract
    └── StoreError              the results file

Each error says what happened and carries a ``hint``: what to type next. Only ``onnxbench.cli``
catches them and exits. This module is part of the worker bundle: stdlib only, Python ≥ 3.10.
"""

from __future__ import annotations

from typing import Literal


class OnnxBenchError(Exception):
    """Base of every error that onnxbench raises on purpose.

    ``message`` may hold foreign text (file names, runtime messages); whoever prints it passes it
    through `onnxbench.text.safe_text`.
    """

    kind = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OnnxBenchError):
    """What was typed cannot be run. Exit code 2."""

    kind = "usage"


class CatalogError(UsageError):
    """``models.yaml`` is wrong; the message names file, line and column."""

    kind = "catalog"


class PlanError(UsageError):
    """Models, runtimes and workload do not fit together."""

    kind = "plan"


class ExportError(OnnxBenchError):
    """A model could not be turned into an ONNX file."""

    kind = "export"


class InstallError(OnnxBenchError):
    """An environment could not be made, or is not ours to remove."""

    kind = "install"


class RefusedInput(OnnxBenchError):
    """A model file failed pre-flight; no runtime ever sees it.

    ``reason`` is a short stable code such as ``not-protobuf`` or ``external-data-escapes``.
    """

    kind = "refused-input"

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


class AdapterError(OnnxBenchError):
    """A runtime adapter could not do its work."""

    kind = "adapter"
    status: Literal["error", "provider-missing", "unsupported", "oom"] = "error"


class NotInstalled(AdapterError):
    """The runtime, or a library that it needs, is not there."""

    kind = "not-installed"
    status = "provider-missing"


class Unsupported(AdapterError):
    """The runtime cannot run this model, shape, type or option."""

    kind = "unsupported"
    status = "unsupported"


class InputRefused(AdapterError):
    """The runtime did not take the inputs that were made for it."""

    kind = "input-refused"
    status = "unsupported"


class OutOfMemory(AdapterError):
    """The runtime ran out of memory, its own or the limit set for the child."""

    kind = "out-of-memory"
    status = "oom"


class WorkerError(OnnxBenchError):
    """A child process did not keep its contract (garbage or silence on the result channel)."""

    kind = "protocol"


class StoreError(OnnxBenchError):
    """The results file cannot be opened, read or written."""

    kind = "store"
