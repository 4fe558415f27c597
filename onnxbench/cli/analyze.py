"""``onnxbench analyze``: what a network costs, counted from its file."""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from onnxbench.cli.options import OUTPUT, json_option, models_option
from onnxbench.errors import UsageError
from onnxbench.text import safe_text

if TYPE_CHECKING:
    from onnxbench.graph.profile import Binding, Convention, GraphProfile
    from onnxbench.report.analysis import Bounds, View
    from onnxbench.report.analysis_views import Analysis, Format
    from onnxbench.types import JsonObject

_WHAT = "What to count"
_VIEW = "What to show"

PATIENCE_S = 2.0
"""After so long a wait, a line on stderr says what takes the time."""


def analyze(
    model: Annotated[
        str, typer.Argument(help="An ONNX file, or an id from models.yaml.", show_default=False)
    ],
    catalog: Annotated[str | None, models_option(_WHAT, metavar="FILE")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="pretrained|random",
            help="Weights of a model that has to be exported first.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            "-b",
            "--batch-size",
            metavar="N",
            help="Batch size, where the file leaves it open.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="Bind a symbolic dimension.", rich_help_panel=_WHAT),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:1x3x224x224", help="Set an input's shape.", rich_help_panel=_WHAT
        ),
    ] = None,
    convention: Annotated[
        str,
        typer.Option(
            metavar="pure|fvcore|paddle",
            help="What counts as a MAC: pure (matmuls and convolutions alone), or as "
            "fvcore (timm) or paddle count.",
            rich_help_panel=_WHAT,
        ),
    ] = "pure",
    hashed: Annotated[
        bool,
        typer.Option(
            "--hash", help="Also the SHA-256 of the file and its data.", rich_help_panel=_WHAT
        ),
    ] = False,
    cross_check: Annotated[
        str | None,
        typer.Option(
            metavar="onnx-tool", help="Also let another tool count.", rich_help_panel=_WHAT
        ),
    ] = None,
    nodes: Annotated[
        bool, typer.Option("--nodes", help="A row for each node.", rich_help_panel=_VIEW)
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="op|module", help="A row for each operator, or module.", rich_help_panel=_VIEW
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.", rich_help_panel=OUTPUT)] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown.", rich_help_panel=OUTPUT)
    ] = False,
    json: Annotated[bool, json_option(OUTPUT)] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write it to a file instead: FILE.csv, .md or .json.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Count MACs, FLOPs, parameters, bytes and memory of a model, from its file alone.

    Nothing is run. Dimensions that stay open give formulas.
    """
    view, form = _view(nodes, by), _format(csv, markdown, json)
    _check_names(convention, cross_check)
    file = Path(output) if output is not None else None
    forms = [form] if file is None else [_form_of(file), *([form] if form != "text" else [])]
    if cross_check is not None and view is not None and "csv" in forms:
        message = "the cross-check has no place in rows of nodes, operators or modules"
        raise UsageError(message, "use --json or --markdown, or ask for one of the two alone")
    binding = _binding(batch, dim or [], shape or [])
    with _patience(f"analyzing {model}"):
        path = _located(model, catalog, weights)
        from onnxbench.graph.analysis import analyze as count

        profile = count(path, binding, cast("Convention", convention))
    gc.freeze()  # or the interpreter would walk all of it once more before it ends
    from onnxbench.report.analysis_views import Analysis

    artifact = _hashed(path) if hashed else None
    compared = _compared(profile) if cross_check is not None else None
    found = Analysis(profile, view, artifact, compared, _bounds(profile))
    if file is not None:
        from onnxbench.report.files import replace

        replace(file, found.render(forms[0]))
        print(f"written to {safe_text(str(file))}", file=sys.stderr)
    if file is None or form != "text":
        _print(found, form)


def _view(nodes: bool, by: str | None) -> "View | None":
    """Return which rows were asked for, None for the summary."""
    if by is not None and by not in ("op", "module"):
        raise UsageError(f"--by {safe_text(by)}: rows are by op or by module", "--by op")
    if nodes and by is not None:
        raise UsageError("--nodes and --by are two views", "give one of the two")
    return "nodes" if nodes else cast("View | None", by)


def _format(csv: bool, markdown: bool, json: bool) -> "Format":
    """Return how to print."""
    if csv + markdown + json > 1:
        raise UsageError("--csv, --markdown and --json are three formats", "give one of them")
    return "csv" if csv else "markdown" if markdown else "json" if json else "text"


def _form_of(output: Path) -> "Format":
    """Return the format of a file that can be written."""
    from onnxbench.report.analysis_views import FORMATS
    from onnxbench.report.files import check_writable

    check_writable(output, FORMATS)
    return FORMATS[output.suffix.lower()]


def _check_names(convention: str, cross_check: str | None) -> None:
    from onnxbench.graph.profile import CONVENTIONS

    if convention not in CONVENTIONS:
        from onnxbench.suggest import did_you_mean

        message = f"--convention {safe_text(convention)}: there is {', '.join(CONVENTIONS)}"
        raise UsageError(message, did_you_mean(convention, CONVENTIONS))
    if cross_check is None:
        return
    from onnxbench.crosscheck import TOOL, require_onnx_tool

    if cross_check != TOOL:
        message = f"--cross-check {safe_text(cross_check)}: the only tool is {TOOL}"
        raise UsageError(message, f"--cross-check {TOOL}")
    require_onnx_tool()


def _binding(batch: str | None, dim: list[str], shape: list[str]) -> "Binding":
    from onnxbench.cli import values
    from onnxbench.graph.profile import Binding

    sizes = values.whole_numbers(batch, "--batch") if batch is not None else (None,)
    if len(sizes) > 1:
        raise UsageError("--batch takes one number here", "analyze one batch size at a time")
    return Binding(sizes[0], values.dims(dim), values.shapes(shape))


def _located(model: str, catalog: str | None, weights: str | None) -> Path:
    """Return the file that was named, or that of a model of the catalogue."""
    from onnxbench import artifacts

    if artifacts.is_file_argument(model):
        return Path(model)  # whoever opens it says what is wrong with it
    import tempfile

    from onnxbench.catalog import load
    from onnxbench.cli import export_request

    spec = load(Path(catalog) if catalog is not None else None).find(model)
    with (
        _patience(f"exporting {spec.id}"),
        tempfile.TemporaryDirectory(prefix="onnxbench-") as folder,
    ):
        choice = export_request.weights(weights)
        exports = export_request.on_demand(choice, say=lambda _: None)
        return exports.locate(spec, Path(folder)).path


def _hashed(path: Path) -> "JsonObject":
    from onnxbench.graph.hashes import artifact_hash
    from onnxbench.targets.bundle import cache_folder

    with _patience(f"hashing {path}"):
        return artifact_hash(path, cache_folder())._asdict()


def _compared(profile: "GraphProfile") -> "JsonObject":
    from onnxbench import crosscheck

    with _patience(f"waiting for {crosscheck.TOOL}, at most {crosscheck.LIMIT_S:.0f} s"):
        return crosscheck.cross_check(profile)


_UNCALIBRATED = "nothing is calibrated here: onnxbench calibrate"


def _bounds(profile: "GraphProfile") -> "Bounds":
    """Return the least time of the network on everything that is calibrated here."""
    from onnxbench import places
    from onnxbench.report.analysis import Bounds

    if profile.convention != "pure":
        return Bounds((), "bounds need the MACs of the convention pure", None)
    if not any(places.calibrations().glob("*.json")):
        return Bounds((), _UNCALIBRATED, None)
    from onnxbench.calibration.files import kept
    from onnxbench.probes import host

    found = kept(host.host_id())
    for path, reason in found.damaged:
        print(f"ignored: {safe_text(path)}: {safe_text(reason)}", file=sys.stderr)
    if not found.documents:
        return Bounds((), _UNCALIBRATED, None)
    from onnxbench.calibration.bounds import predictions
    from onnxbench.graph.static import static_document
    from onnxbench.graph.work import work_document

    static = {**static_document(profile), **work_document(profile, nodes=False)}
    told = predictions(static, found)
    newest = next((ceilings for _, ceilings in told if ceilings is not None), None)
    return Bounds(tuple(entry for entry, _ in told), "", newest)


def _print(found: "Analysis", form: "Format") -> None:
    import shutil

    from onnxbench.report.terminal import tolerant

    tolerant(sys.stdout).write(found.render(form, shutil.get_terminal_size().columns))


@contextmanager
def _patience(doing: str) -> Iterator[None]:
    """Say on stderr what is done, once it has taken `PATIENCE_S`."""
    line = f"{safe_text(doing)} …"
    timer = threading.Timer(PATIENCE_S, lambda: print(line, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
