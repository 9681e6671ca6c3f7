"""The command line: `python -m erip.ops.stack …`, which the Makefile and `manage.py stack` call."""

# ruff: noqa: S603, S606 (programs are started from lists; no word of them comes from a request)

import argparse
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from erip.ops.stack import control, progress, releases, services
from erip.ops.stack.errors import NotRunning, StackError, from_os_error
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.single import SingleLayout
from erip.ops.stack.state import State, read_json

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    state = State.from_environment()
    # SIGTERM ends a command as Ctrl-C does: through `finally`, so that nothing is left running.
    if options.run is not _supervise:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.run(state, options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except StackError as error:
        return _fail(error, options)
    except OSError as error:
        return _fail(from_os_error(error, state.root), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="erip.ops.stack", description="ERIP on this machine, with its own servers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str, *, answers_json: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run, json=False)
        if answers_json:
            added.add_argument("--json", action="store_true", help="print the answer as one JSON object")
        return added

    up = command("up", _up, "Start the platform; it stays up.")
    up.add_argument("--ha", action="store_true", help="three of each server, two or more of each process")
    up.add_argument("--carry", action="store_true", help="with --ha: first take over what the single stack holds")
    dev = command("dev", _dev, "The platform while you develop: replaced when a file changes.", answers_json=False)
    dev.add_argument("--app", type=Path, help="the folder of a project of your own, as `make new` makes one")
    command("upgrade", _upgrade, "What runs goes over to the files that are here now.", answers_json=False)
    command("restart", _restart, "Bring changed code and settings into the stack that runs.")
    command("renew", _renew, "Give all servers new certificates, while they work (HA=1).", answers_json=False)
    command("down", _down, "End the platform and its servers.")
    command("status", _status, "Show what runs: process ids, uptime, restarts, addresses.")
    demo = command("demo", _demo, "Run the breach-response workflow on an incident and show what came of it.")
    demo.add_argument("input", nargs="?", type=Path, help="a JSON file with an incident of your own")
    logs = command("logs", _logs, "Show the end of the logs.", answers_json=False)
    logs.add_argument("names", nargs="*", help="of these processes (default: all)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing what is added")
    logs.add_argument("-n", "--lines", type=int, default=20)
    servers = command(
        "with-servers", _with_servers, "Run a command against a private PostgreSQL and Redis.", answers_json=False
    )
    servers.add_argument("--no-fsync", action="store_true", help="for tests: quicker, and a power cut loses data")
    servers.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command")
    supervise = command("supervise", _supervise, "(started by up)", answers_json=False)
    supervise.add_argument("--report", type=int, default=-1)
    supervise.add_argument("--ha", action="store_true")
    supervise.add_argument("--carry", action="store_true")
    supervise.add_argument("names", nargs="*", default=services.ALL)
    return parser


def _up(state: State, options: argparse.Namespace) -> int:
    started = control.up(state, ha=options.ha, carry=options.carry)
    now = control.status(state)
    if options.json:
        _print_json(
            {"started": started, "outdated": not started and releases.is_outdated(state), **_answer(state, now)}
        )
        return OK
    from erip.ops.stack.screens import show_access

    if not started:
        progress.console().print(f"ERIP runs already (supervisor {now.pid}).")
    show_access(state, now, read_json(state.credentials))
    return OK


def _dev(state: State, options: argparse.Namespace) -> int:
    from erip.ops.stack import dev

    return dev.run(state, options.app)


def _upgrade(state: State, options: argparse.Namespace) -> int:
    from erip.ops.stack import upgrading

    upgrading.upgrade(state)
    return OK


def _restart(state: State, options: argparse.Namespace) -> int:
    seconds = control.restart(state)
    if options.json:
        _print_json({"seconds": seconds, **_answer(state, control.status(state))})
    elif seconds is not None:
        progress.done("restarted", seconds)
    return OK


def _renew(state: State, options: argparse.Namespace) -> int:
    control.renew(state)
    progress.console().print("New certificates are made; logs/supervisor.log says who has not taken them.")
    return OK


def _down(state: State, options: argparse.Namespace) -> int:
    ended = control.down(state)
    if options.json:
        _print_json({"ended": ended})
    else:
        progress.console().print("ERIP is down." if ended else "Nothing was running.")
    return OK


def _status(state: State, options: argparse.Namespace) -> int:
    try:
        now = control.status(state)
    except NotRunning as error:
        if options.json:
            _print_json({"phase": "down"})
            return FAILED
        raise error
    if options.json:
        _print_json(_answer(state, now))
        return OK
    from erip.ops.stack.screens import show_status

    show_status(now, _leading(state))
    return OK


def _leading(state: State) -> dict[str, str | None]:
    if read_json(state.supervisor).get("layout") != "ha":
        return {}
    from erip.ops.stack.ha.roles import Roles

    return Roles(state).all()


def _demo(state: State, options: argparse.Namespace) -> int:
    from erip.ops.stack import demo

    return demo.run(state, options.input, as_json=options.json)


def _logs(state: State, options: argparse.Namespace) -> int:
    known = sorted(path.stem for path in state.logs.glob("*.log")) if state.logs.is_dir() else []
    for name in options.names:
        if name not in known:
            raise StackError(f"There is no log called {name}; there are: {', '.join(known) or 'none yet'}.")
    files = [str(state.logs / f"{name}.log") for name in options.names or known]
    tail = shutil.which("tail")
    if not files or tail is None:
        raise StackError(f"No logs to show under {state.logs}." if not files else "This needs the program tail.")
    os.execv(tail, ["tail", "-n", str(options.lines), *(["-F"] if options.follow else []), *files])


def _with_servers(state: State, options: argparse.Namespace) -> int:
    """The command's own exit status. DATABASE_URL and ERIP_BROKER_URL that are set already are left alone."""
    from erip.ops.stack.servers import private_servers

    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise StackError("Say what to run: with-servers -- COMMAND …")
    env = dict(os.environ)
    missing = [name for name in ("DATABASE_URL", "ERIP_BROKER_URL") if not env.get(name)]
    with private_servers(
        postgres="DATABASE_URL" in missing, redis="ERIP_BROKER_URL" in missing, fsync=not options.no_fsync
    ) as (postgres, redis):
        if postgres:
            env["DATABASE_URL"] = postgres.url
        if redis:
            env["ERIP_BROKER_URL"] = redis.url
        # Importing erip.celery fills in production, which is never meant with servers that are thrown away.
        if env.get("DJANGO_SETTINGS_MODULE") in (None, "erip.settings.production"):
            env["DJANGO_SETTINGS_MODULE"] = "erip.settings.test"
        try:
            process = subprocess.Popen(words, env=env)
        except (FileNotFoundError, PermissionError):  # the latter: a folder of PATH that may not be entered
            raise StackError(f"No such command: {words[0]}") from None
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Ctrl-C reached the command too; a SIGTERM only us.
            process.terminate()
            process.wait()
            return INTERRUPTED


def _supervise(state: State, options: argparse.Namespace) -> int:
    from erip.ops.stack.supervisor import Supervisor

    report = os.fdopen(options.report, "w") if options.report >= 0 else None
    if options.ha:
        from erip.ops.stack.ha.layout import HaLayout

        return Supervisor(
            state, HaLayout(state, options.names), report, _single_postgres(state) if options.carry else None
        ).run()
    return Supervisor(state, SingleLayout(state, tuple(options.names)), report).run()


def _single_postgres(state: State) -> Callable[[], Postgres]:
    return SingleLayout(state, ()).postgres


def _answer(state: State, now: control.Status) -> dict[str, Any]:
    ca = str(state.ca) if (now.url("web") or "").startswith("https:") and state.ca.exists() else None
    return {
        **asdict(now),
        "url": now.url("web"),
        "ca": ca,
        "state_dir": str(state.root),
        **read_json(state.credentials),
    }


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2))


def _fail(error: StackError, options: argparse.Namespace) -> int:
    if options.json:
        _print_json({"error": str(error)})
    else:
        progress.error(str(error))
    return FAILED


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
