"""The command line: from arguments to commands, from errors to exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from typing import Annotated, NoReturn

import typer

from edgecam import __version__, console, logbook
from edgecam.commands import (
    bench,
    cameras,
    clips,
    config,
    demo,
    detect,
    doctor,
    evaluate,
    events,
    install,
    models,
    mqtt,
    run,
    status,
    tpu,
    web,
    zones,
)
from edgecam.errors import ConfigError, EdgecamError
from edgecam.worker import Worker

FAILED, USAGE, BAD_CONFIG, INTERRUPTED = 1, 2, 78, 130
"""Exit codes beside 0; 78 is EX_CONFIG, which systemd does not restart."""

app = typer.Typer(
    name="edgecam",
    help="A camera that sees, names and remembers what moves in front of it.",
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- the shape that typer calls
    if wanted:
        console.emit(f"edgecam {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; twice: all.")] = 0,
    version: Annotated[  # noqa: ARG001 -- its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A camera that sees, names and remembers what moves in front of it."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, handlers=[logbook.handler()])
    if context.invoked_subcommand is None:
        console.emit(context.get_help())
        raise typer.Exit(USAGE)


for group in (
    demo,
    run,
    status,
    detect,
    evaluate,
    bench,
    events,
    clips,
    models,
    cameras,
    tpu,
    doctor,
    install,
    zones,
    mqtt,
    web,
    config,
):
    group.register(app)


def command() -> NoReturn:
    """What the shell starts: `main`, then the end of the process with its exit code.

    Threads that are stuck in a device are left behind at once: Python's own end, with what C++ libraries tear down
    under their feet, turns them into SIGABRT ("terminate called without an active exception").
    """
    code = main()
    if any(isinstance(thread, Worker) for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 fine, 1 failed, 2 usage, 78 bad configuration, 130 interrupted.

    What the user can mend is one line on stderr; anything else is a bug and leaves with its traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # what is wrong with a picture is said once, by us
    try:
        code = app(arguments, prog_name="edgecam", standalone_mode=False)
        console.finish()
    except typer.TyperException as error:
        console.say(_usage(error))
        return error.exit_code
    except EdgecamError as error:
        console.complain(error)
        return BAD_CONFIG if isinstance(error, ConfigError) else FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; Python would say so once again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return int(code or 0)


def _usage(error: typer.TyperException) -> str:
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context else "edgecam"
    return f"{error.format_message().rstrip('.')} (see '{command} --help')"
