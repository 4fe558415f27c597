"""Turns ONNX into ncnn's two files with pnnx, and keeps what pnnx says of how to call them.

pnnx is a program in the package of the same name, whose console script imports torch; the program
itself needs nothing. Its exit code proves little: tried with 20261020, it ends with 0 and writes
layers that ncnn lacks (QDQ), ends by SIGSEGV (some FP16 files) or by SIGABRT.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbench.errors import NotInstalled, Unsupported
from onnxbench.runtimes import _ncnn_plain
from onnxbench.runtimes._captured import tail

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from onnxbench.types import ConvertRequest, JsonObject, TensorSpec

PARAM, BIN, CALL = "model.ncnn.param", "model.ncnn.bin", "call.json"

LAST_RESORT_S = 3600.0
"""The parent ends a conversion at the limit of its phase; this is for one that outlives it."""

_SUFFIX = {
    "float": "f32",
    "double": "f64",
    "float16": "f16",
    "bfloat16": "bf16",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
}
"""ONNX element type → what pnnx calls it."""

_INPUT = re.compile(r'ex\.input\("([^"]+)", ncnn\.Mat\(\w+\.numpy\(\), batch_index=(\d+)\)')
_EXTRACT = re.compile(
    r'ex\.extract\("([^"]+)"\)\n\s*out\.append\(torch\.from_numpy\(\w+\.numpy\(batch_index=(\d+)\)'
)
_TYPE = re.compile(r"^(\S+)\s+\S+\s+\d+\s+\d+", re.MULTILINE)

_HALF_WEIGHTS = 0x01306B47
"""What stands before weights of a layer that are kept as float16 (ncnn, modelbin.cpp)."""


def program() -> Path:
    """Return the path of the pnnx program. Raises NotInstalled."""
    spec = importlib.util.find_spec("pnnx")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        path = Path(folder, "pnnx.exe" if sys.platform == "win32" else "pnnx").absolute()
        if path.is_file():
            return path
    raise NotInstalled("pnnx, which turns ONNX into ncnn's files, is missing",
                       "onnxbench install ncnn")  # fmt: skip


def convert(ncnn: Any, request: ConvertRequest) -> JsonObject:
    """Write ncnn's files and `CALL` into ``request.folder``; return what was converted.

    Raises Unsupported with the reason, or with the end of what pnnx said.
    """
    shapes = ",".join(_shape(spec, request.shapes[spec.name]) for spec in request.inputs)
    # pnnx's own default keeps weights as float16, whatever ncnn is told later.
    half = "0" if request.precision == "model" else "1"
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        _ncnn_plain.write_plain(request.model, Path(scratch, "model.onnx"))
        said = _run([program(), "model.onnx", f"fp16={half}", f"inputshape={shapes}"], scratch)
        call = _call(Path(scratch, "model_ncnn.py"), request, said)
        layers = _layers(ncnn, Path(scratch, PARAM))
        call["weights"] = _weights(Path(scratch, BIN))
        for name in (PARAM, BIN):
            shutil.copyfile(Path(scratch, name), Path(request.folder, name))
    Path(request.folder, CALL).write_text(json.dumps(call), encoding="utf-8")
    version = importlib.metadata.version("pnnx")
    return {"converter": f"pnnx {version}", "layers": layers, "weights": call["weights"]}


def _shape(spec: TensorSpec, shape: Sequence[int]) -> str:
    if spec.dtype not in _SUFFIX:
        raise Unsupported(
            f"input {spec.name!r} is of type {spec.dtype}, which ncnn has not",
            "choose another runtime for it",
        )
    return f"[{','.join(map(str, shape))}]{_SUFFIX[spec.dtype]}"


def _run(argv: Sequence[str | os.PathLike[str]], folder: str) -> str:
    """Run pnnx in ``folder``; return the end of what it said. Raises Unsupported."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LAST_RESORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unsupported(
            f"pnnx was still converting after {LAST_RESORT_S:.0f} s", "choose another runtime"
        ) from error
    said = tail(done.stdout)
    if done.returncode == 0:
        return said
    end = f"exit code {done.returncode}"
    if done.returncode < 0:
        end = signal.Signals(-done.returncode).name
    raise Unsupported(
        f"pnnx ended by {end}; the last it said: {said}",
        "pnnx cannot convert this model; choose another runtime for it",
    )


def _call(script: Path, request: ConvertRequest, said: str) -> JsonObject:
    """Return blob and batch axis (233: none) of each input and output, in the order of the file.

    pnnx writes an example of use beside its files, and says it nowhere else.
    """
    if not script.is_file():
        raise Unsupported(f"pnnx wrote no files; the last it said: {said}", _OTHER)
    text = script.read_text(encoding="utf-8", errors="replace")
    found = {"inputs": _INPUT.findall(text), "outputs": _EXTRACT.findall(text)}
    call: JsonObject = {}
    for kind, declared in (("inputs", request.inputs), ("outputs", request.outputs)):
        if len(found[kind]) != len(declared):
            raise Unsupported(
                f"pnnx kept {len(found[kind])} of the {len(declared)} {kind} of the model", _OTHER
            )
        call[kind] = [
            {"name": spec.name, "blob": blob, "axis": int(axis)}
            for spec, (blob, axis) in zip(declared, found[kind], strict=True)
        ]
    return call


def _layers(ncnn: Any, param: Path) -> int:
    """Return the number of layers in ``param``. Raises Unsupported for layers that ncnn lacks."""
    types = Counter(_TYPE.findall(param.read_text(encoding="utf-8", errors="replace")))
    lacking = [f"{name} ×{n}" for name, n in types.items() if ncnn.layer_to_index(name) < 0]
    if lacking:
        raise Unsupported(
            f"pnnx wrote layers that ncnn does not have: {', '.join(lacking)}", _OTHER
        )
    return sum(types.values())


def _weights(path: Path) -> str:
    """Return ``float16`` if any layer's weights are kept so, else ``float32``."""
    data = path.read_bytes()
    kept_half = _HALF_WEIGHTS.to_bytes(4, "little")
    at = data.find(kept_half)
    while at >= 0 and at % 4:
        at = data.find(kept_half, at + 1)
    return "float32" if at < 0 else "float16"


_OTHER = "ncnn cannot run this model; choose another runtime for it"
