"""The ways from a torch module to an ONNX file, from the best to the last resort."""

from __future__ import annotations

import logging
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from onnxbench.errors import ExportError
from onnxbench.sources import BATCH, DEFAULT_OPSET, MODEL_FILE, Written
from onnxbench.text import safe_text

from . import _torch_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnxbench.sources import ExportRequest, InputSpec


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be written: ``inputs`` and ``outputs`` are names in the file, ``sample(batch)``
    gives tensors to run the module with."""

    module: Any
    request: ExportRequest
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    sample: Callable[[int], tuple[Any, ...]]

    @property
    def opset(self) -> int:
        """The operator set to be written."""
        return self.request.opset or DEFAULT_OPSET

    @property
    def open_dims(self) -> list[dict[int, str]]:
        """Per input, the axes that stay open and their names."""
        return [
            {axis: dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
            for spec in self.inputs
        ]


def write(task: Task) -> Written:
    """Write the file by the first way that works. Raises ExportError when none does."""
    notes: list[str] = []
    may_open = any(task.open_dims)
    for open_batch in (True, False) if may_open else (False,):
        for name, way in (("torch.onnx dynamo", _dynamo), ("torch.onnx legacy", _legacy)):
            try:
                with _quiet():
                    model = way(task, open_batch)
                    _check_opset(model, task.opset)
                    _torch_graph.save(model, Path(task.request.folder))
            except Exception as error:  # noqa: BLE001 - exporters raise whatever they stumble on
                batch = "open batch" if open_batch else "batch 1"
                notes.append(f"{name}, {batch}: {_reason(error)}")
                continue
            if may_open and not open_batch:
                notes.append("the batch size is fixed to 1")
            return Written(name, task.opset, open_batch, tuple(notes))
    raise ExportError(
        f"torch.onnx exports {task.request.location} in no way: {'; '.join(notes)}",
        "try another opset: (models.yaml), or report it with the model's name",
    )


def _dynamo(task: Task, open_batch: bool) -> Any:
    # torch.export takes a dim whose example is 1 for a constant.
    sample = task.sample(2 if open_batch else 1)
    dims = {name: torch.export.Dim(name) for axes in task.open_dims for name in axes.values()}
    shapes = tuple({axis: dims[name] for axis, name in axes.items()} for axes in task.open_dims)
    program = torch.onnx.export(
        task.module,
        sample,
        input_names=[spec.name for spec in task.inputs],
        output_names=list(task.outputs),
        dynamic_shapes=shapes if open_batch else None,
        opset_version=task.opset,
        dynamo=True,
        optimize=not task.request.keep_bn,
        verbose=False,
    )
    if task.request.keep_bn:
        _torch_graph.optimise_keeping_batch_norm(program.model)
    return program.model


def _legacy(task: Task, open_batch: bool) -> Any:
    names = [spec.name for spec in task.inputs]
    axes: dict[str, dict[int, str]] = dict(zip(names, task.open_dims, strict=True))
    axes |= {name: {0: BATCH} for name in task.outputs}
    modes = torch.onnx.TrainingMode
    # More than 2 GB come out as one file per tensor, which the folder then holds but for a while.
    with tempfile.TemporaryDirectory(dir=task.request.folder) as folder:
        path = Path(folder, MODEL_FILE)
        torch.onnx.export(
            task.module,
            task.sample(2 if open_batch else 1),
            str(path),
            input_names=names,
            output_names=list(task.outputs),
            dynamic_axes=axes if open_batch else None,
            opset_version=task.opset,
            dynamo=False,
            # Only what is exported for inference has its batch normalisations folded.
            training=modes.PRESERVE if task.request.keep_bn else modes.EVAL,
        )
        ir = import_module("onnx_ir")
        model = ir.load(path)
        # The files of external tensors go with the folder.
        ir.external_data.load_to_model(model)
    return model


def _check_opset(model: Any, wanted: int) -> None:
    found = model.opset_imports.get("", wanted)
    if found != wanted:
        raise ExportError(f"came out in opset {found}, not {wanted}")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return safe_text(f"{type(error).__name__}: {lines[0] if lines else ''}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's exporters say of themselves."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def leaves(outputs: Any) -> list[Any]:
    """Return the tensors in what a module returned, in the order in which exporters write them."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = outputs.values()
    elif not isinstance(outputs, (tuple, list)):
        return []
    return [tensor for each in outputs for tensor in leaves(each)]


def tensors(arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Return numpy arrays as tensors of their own."""
    return tuple(torch.from_numpy(array.copy()) for array in arrays)
