"""A torch module behind the protocol `Source`: what the three torch exporters have in common."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from onnxbench.errors import ExportError
from onnxbench.sources import BATCH, InputSpec, SourceFacts

from . import _torch_counts, _torch_random, _torch_write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxbench.protocols import Array
    from onnxbench.sources import ExportRequest, Preprocess, SourceCounts, Written

_DTYPES = {
    "float": torch.float32,
    "double": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "bool": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Built:
    """A module as an exporter built it. ``size``: channels, height and width of its picture, for
    requests that name no inputs. ``trained``: where its weights come from, None when they are to be
    drawn. ``fuse`` brings it into the form that it runs in."""

    module: Any
    size: tuple[int, ...]
    trained: str | None
    versions: dict[str, str]
    fuse: Callable[[Any], Any]
    preprocess: Preprocess | None = None
    notes: tuple[str, ...] = ()


class TorchSource:
    """A module in evaluation mode with its weights, which stands as ``module``."""

    def __init__(self, built: Built, request: ExportRequest) -> None:
        self._request = request
        self._inputs = request.inputs or (InputSpec("input", (BATCH, *built.size)),)
        # The fused kernel of torch's own attention is an operator that no exporter knows.
        torch.backends.mha.set_fastpath_enabled(False)
        module = built.module.eval().requires_grad_(requires_grad=False)
        notes = built.notes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = self._try(module)
            if built.trained is None:
                _torch_random.randomise(module, self._sample(2))
                outputs = self._try(module)
                notes += _torch_random.check(outputs)
            if request.fuse:
                before = sum(1 for _ in module.modules())
                module = built.fuse(module).eval()
                if sum(1 for _ in module.modules()) == before:
                    notes += ("fuse: the network has only one form",)
                outputs = self._try(module)
        self.module = module
        norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
        self.facts = SourceFacts(
            inputs=self._inputs,
            outputs=("logits",) if len(outputs) == 1 else _numbered(len(outputs)),
            weights=built.trained or f"random: seed {request.seed}",
            params=sum(each.numel() for each in module.parameters()),
            norm_params=sum(p.numel() for norm in norms for p in norm.parameters(recurse=False)),
            buffers=sum(
                each.numel()
                for norm in norms
                for each in (norm.running_mean, norm.running_var)
                if each is not None
            ),
            versions=built.versions,
            preprocess=request.preprocess or built.preprocess,
            notes=notes,
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for ``inputs``, both in the order of `facts`."""
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = self.module(*_torch_write.tensors(inputs))
        return [each.numpy() for each in _torch_write.leaves(outputs)]

    def counts(self) -> SourceCounts:
        """Return what running one item costs."""
        return _torch_counts.count(self.module, self._sample(1))

    def write(self) -> Written:
        """Write the file. Raises ExportError."""
        with torch.no_grad():
            return _torch_write.write(
                _torch_write.Task(
                    self.module, self._request, self._inputs, self.facts.outputs, self._sample
                )
            )

    def _try(self, module: Any) -> list[Any]:
        try:
            with torch.no_grad():
                outputs = _torch_write.leaves(module(*self._sample(2)))
        except Exception as error:
            shapes = ", ".join(str(list(spec.sized(2))) for spec in self._inputs)
            raise ExportError(
                f"{self._request.location} does not run on inputs of {shapes}: "
                f"{type(error).__name__}: {error}",
                "its inputs: stand in models.yaml, such as {input: [batch, 3, 224, 224]}",
            ) from error
        if not outputs:
            raise ExportError(
                f"{self._request.location} returns no tensor", "its forward must return tensors"
            )
        return outputs

    def _sample(self, batch: int) -> tuple[Any, ...]:
        """Return seeded inputs: floats from the normal distribution, as normalised pictures."""
        generator = torch.Generator().manual_seed(self._request.seed)
        return tuple(_draw(spec, batch, generator) for spec in self._inputs)


def _draw(spec: InputSpec, batch: int, generator: Any) -> Any:
    dtype, shape = _DTYPES.get(spec.dtype), spec.sized(batch)
    if dtype is None:
        raise ExportError(
            f"input {spec.name}: no torch type for {spec.dtype}", f"one of {', '.join(_DTYPES)}"
        )
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, spec.high, shape, generator=generator).to(dtype)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"output_{number}" for number in range(count))


def fuse_children(module: Any) -> Any:
    """Bring every module that can be re-parameterised into the form that it runs in."""
    for each in module.modules():
        for method in ("reparameterize", "switch_to_deploy"):
            if hasattr(each, method):
                getattr(each, method)()
                break
    return module
