"""The ``onnxbench`` command: its subcommands, and the one place where errors become exit codes."""

import contextlib
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from onnxbench import __version__
from onnxbench.cli.analyze import analyze
from onnxbench.cli.calibrate import calibrate
from onnxbench.cli.doctor import doctor
from onnxbench.cli.export import export
from onnxbench.cli.install import install, uninstall
from onnxbench.cli.lists import list_app
from onnxbench.cli.plain import PlainCommand, PlainGroup
from onnxbench.cli.results import merge, report, show
from onnxbench.cli.run import run
from onnxbench.errors import OnnxBenchError, UsageError

INTERRUPTED = 130

app = typer.Typer(
    name="onnxbench",
    cls=PlainGroup,
    help="Learn how fast, how big and how accurate every ONNX model is on every runtime you own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(export)
app.command(cls=PlainCommand)(analyze)
app.command()(report)
app.command()(show)
app.add_typer(list_app, name="list")
app.command()(merge)
app.command(cls=PlainCommand)(install)
app.command(cls=PlainCommand)(uninstall)
app.command()(doctor)
app.command()(calibrate)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from onnxbench import registry
    from onnxbench.cli.lists import probe
    from onnxbench.text import safe_text

    print(f"onnxbench {__version__}")
    for registered in registry.runtimes():
        found = probe(registered)
        said = f"{found.distribution} {found.version}" if found.available else found.reason
        print(safe_text(f"{registered.name}: {said}"))
    raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the versions of onnxbench and of the runtimes found here.",
        ),
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line and exit with the code that docs/reference/exit-codes.md gives."""
    ends = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    for end in ends:
        if signal.getsignal(end) != signal.SIG_IGN:  # nohup asks to stay
            signal.signal(end, _interrupt)
    try:
        code = app(standalone_mode=False)  # typer makes 130 of KeyboardInterrupt
        sys.stdout.flush()
    except OnnxBenchError as error:
        code = _fail(error)
    except TyperException as error:  # what typer itself finds wrong with the arguments
        code = _fail(UsageError(_message_of(error), _help_for(error)))
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:  # `onnxbench … | head`
        code = 1
    except OSError as error:  # the system refuses: a full disk, a lost terminal
        code = _fail(OnnxBenchError(str(error), "free what the message names, and try again"))
    for end in (signal.SIGINT, *ends):  # it is leaving already
        signal.signal(end, signal.SIG_IGN)
    if code == INTERRUPTED:
        print("interrupted", file=sys.stderr, flush=True)
    _flush_what_goes()
    sys.exit(code if isinstance(code, int) else 0)


def _flush_what_goes() -> None:
    """Flush stdout; point it at nothing if it takes no more, or the interpreter's end complains."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: OnnxBenchError) -> int:
    from onnxbench.report.document import dumps, error_document
    from onnxbench.text import safe_text

    if "--json" in sys.argv[1:]:
        with contextlib.suppress(OSError):  # stdout itself may be what is full
            print(dumps(error_document(error)), flush=True)
    print(f"error: {safe_text(error.message, 1000)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {safe_text(error.hint, 1000)}", file=sys.stderr)
    return 2


def _message_of(error: TyperException) -> str:
    say = getattr(error, "format_message", None)
    return str(say()) if say is not None else str(error)


def _help_for(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "onnxbench"
    return f"{command} --help"


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
