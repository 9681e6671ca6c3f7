"""The program: its commands, and what becomes of every error: one clear line, each fault with its path, a status."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from erip_client.errors import EripError, Fault, Refused
from erip_client.version import VERSION

from .commands import at_work, bulk, definitions, errors, events, letters, pauses, platform, runs, schedules
from .exits import Exit, status_of
from .inputs import BadInput
from .profiles import Misconfigured
from .terminal import PipeClosed, console
from .words import safe, to_json

HELP = "ERIP from the command line. Address and key: `erip login`, or ERIP_URL and ERIP_API_KEY."


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"erip {VERSION}")
        raise typer.Exit


def build() -> typer.Typer:
    app = typer.Typer(
        name="erip",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="The release of the program.")
        ] = False,
    ) -> None:
        """Only so that there are commands below it."""

    root.__doc__ = HELP
    for module in (runs, bulk, at_work, definitions, schedules, pauses, events, letters, errors, platform):
        module.register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """The program with these arguments. Returns its exit status."""
    # Asked of the arguments, for errors that come before a command has read them.
    as_json = "--json" in arguments
    try:
        result = build()(args=list(arguments), prog_name="erip", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else Exit.OK
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except (PipeClosed, BrokenPipeError):
        # What is left in the buffer has no reader: the interpreter would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE_CLOSED
    except typer.TyperException as error:
        return _usage(error, as_json)
    except BadInput as error:
        return _say(as_json, Exit.USAGE, "This cannot be sent.", error.faults)
    except (Misconfigured, ValueError) as error:
        return _say(as_json, Exit.USAGE, str(error))
    except Refused as error:
        return _say(as_json, status_of(error), f"{error.detail} ({error.status} {error.code})", error.faults, error)
    except EripError as error:
        return _say(as_json, status_of(error), str(error))


def _usage(error: typer.TyperException, as_json: bool) -> int:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if not message:  # no command was named: the help was printed
        return Exit.USAGE
    path = context.command_path if context is not None else "erip"
    stop = "" if message.endswith((".", "?", "!")) else "."
    return _say(as_json, Exit.USAGE, f"{message}{stop} See `{path} --help`.")


def _say(
    as_json: bool, status: Exit, sentence: str, faults: Sequence[Fault] = (), refused: Refused | None = None
) -> int:
    """One line on standard error, and one for each fault."""
    stream = console(errors=True)
    if as_json:
        found = {
            "message": sentence if refused is None else refused.detail,
            **({"status": refused.status, "code": refused.code} if refused is not None else {}),
            "faults": [{"path": fault.path, "message": fault.message} for fault in faults],
        }
        stream.print(to_json({"error": found, "exit": int(status)}, None), soft_wrap=True)
        return status
    first, *more = sentence.splitlines() or [""]
    for line in (f"erip: {first}", *more, *(f"  {fault}" for fault in faults)):
        stream.print(safe(line), soft_wrap=True, style=None)
    return status
