"""`manage.py run_benchmarks`: measures a deployment, or a private stack that ends with the command."""

import json
import os
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from benchmarks import baseline
from benchmarks.deployment import Deployment
from benchmarks.errors import BenchmarkError, Usage
from benchmarks.figures import Results
from benchmarks.keys import VARIABLE, api_key
from benchmarks.report import table
from benchmarks.report.document import document
from benchmarks.report.page import page
from benchmarks.runner import ALL, BEFORE, run
from benchmarks.scenarios import LONG, SCENARIOS
from benchmarks.session import Options
from benchmarks.traffic.files import read_file
from benchmarks.uptime.kinds import KINDS

PASSED, THRESHOLD_MISSED, INTERRUPTED = 0, 3, 130

#: the options that say how large the loads are
SIZES = (
    *("in_flight", "count", "rate", "runs", "backlog", "waits", "fan_outs", "finished", "among", "many", "kills"),
    *("waiting", "due_rate", "due_seconds", "due", "sleepers", "races", "what_if"),
    *("event_rate", "event_seconds", "claim_seconds", "events"),
)
UPTIME = ("duration", "fleet", "before", "rows", "seed", "faults", "single", "seeds", "calm", "turns", "idle")


class Command(BaseCommand):
    help = (
        "Runs the benchmarks against a running deployment (--url, --api-key) or a private stack. Exit status: 0 all "
        "thresholds met, 2 called wrongly, 3 a threshold missed, 4 something that is needed is missing, 1 otherwise."
    )
    # A private stack has its own database; the one in the settings need not exist.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        add, usual = parser.add_argument, Options()
        add(
            "scenario",
            nargs="*",
            default=ALL,
            choices=[*SCENARIOS, ALL],
            metavar="scenario",
            help=f"any of {', '.join(SCENARIOS)}, one after the other on one stack; default: all, but "
            f"{', '.join(sorted(LONG))}, which take many minutes",
        )
        add("--url", help="a running deployment, e.g. http://127.0.0.1:8000; default: a private stack")
        add(
            "--api-key",
            help=f"its key, scope author (operator, if its workflows are published already); else {VARIABLE}",
        )
        add("--database-url", help="its PostgreSQL, to check results there and to measure its limits")
        add("--broker-url", help="its Redis, to measure its limits")
        add("--in-flight", type=_positive, default=usual.in_flight, help="concurrent-workflows: how many at once")
        add("--count", type=_positive, default=usual.count, help="requests whose latency is measured")
        add("--rate", type=_rate, default=usual.rate, help="of these, per second")
        add("--runs", type=_positive, default=usual.runs, help="engine, engine-crash, size: runs at once")
        add("--backlog", type=_natural, default=usual.backlog, help="runs that wait meanwhile; 0: no such load")
        add("--waits", type=_positive, default=usual.waits, help="engine: runs of four waits of 100 ms")
        add("--fan-outs", type=_positive, default=usual.fan_outs, help="engine: fan-outs of 1,000 items, one by one")
        add("--finished", type=_positive, default=usual.finished, help="size, pulse: finished runs in the tables")
        add("--among", type=_positive, default=usual.among, help="filters: finished runs in the tables")
        add("--many", type=_positive, default=usual.many, help="many: runs that are paused, resumed and cancelled")
        add(
            "--waiting", type=_natural, default=usual.waiting, help="timers: runs that wait while some are due; 0: none"
        )
        add("--due-rate", type=_rate, default=usual.due_rate, help="timers: of these, due each second")
        add("--due-seconds", type=_rate, default=usual.due_seconds, help="timers: for how long")
        add("--due", type=_natural, default=usual.due, help="timers: runs that are due in one second; 0: no such load")
        add("--sleepers", type=_natural, default=usual.sleepers, help="timers: runs that only sleep; 0: no such load")
        add("--races", type=_positive, default=usual.races, help="signals: sent against timeouts and cancels")
        add("--past", dest="what_if", type=_positive, default=usual.what_if, help="what-if: runs that have ended")
        add("--kills", type=_positive, default=usual.kills, help="engine-crash: how often the worker is killed")
        add("--duration", type=_seconds, default=usual.duration, help="uptime: of the load: 90s, 5m (default), 1h")
        add("--fleet-rate", dest="fleet", type=_rate, default=usual.fleet, help="uptime: operations per second")
        add("--before", metavar="REF", default=usual.before, help=f"upgrade: the older release; default: {BEFORE}")
        add("--rows", type=_positive, default=usual.rows, help="upgrade: of the table that is migrated meanwhile")
        add(
            "--seed",
            type=_natural,
            help="uptime, event-crash: the same faults again; default: new ones, whose seed is printed",
        )
        add(
            "--faults",
            type=_names,
            help=f"uptime, causes: none, or some of {','.join(KINDS)}",
        )
        add("--seeds", type=_positive, default=usual.seeds, help="causes: each fault once for each of so many seeds")
        add("--calm", type=_calm, default=usual.calm, help="causes: without any fault: 30m (default); 0: none")
        add(
            "--turns",
            type=_natural,
            default=usual.turns,
            help="pulse: how often the load is put on each stack; 0: never",
        )
        add("--idle", type=_seconds, default=usual.idle, help="pulse: both stacks at rest: 5m (default)")
        add("--single", action="store_true", help="uptime: one of each server, to see what that costs")
        add("--event-rate", type=_rate, default=usual.event_rate, help="event-throughput: events per second")
        add("--event-seconds", type=_rate, default=usual.event_seconds, help="event-throughput: for how long")
        add("--claim-seconds", type=_rate, default=usual.claim_seconds, help="event-throughput: the claim's load")
        add("--events", type=_positive, default=usual.events, help="event-crash: events in all")
        add("--profile", type=Path, metavar="FILE", help="traffic: the requests, as `traffic record` writes them")
        add("--no-limits", action="store_true", help="do not measure the machine's own ceiling")
        add("--json", type=Path, metavar="FILE", help="write the results as JSON")
        add("--html", type=Path, metavar="FILE", help="write the results as one page")
        add("--baseline", type=Path, metavar="FILE", help="compare with what --json wrote earlier")
        add("--fail-on-regression", metavar="PERCENT", help="with --baseline: fail when a figure is worse by more")
        add("--claims-only", action="store_true", help="only what is promised to users decides the exit status")

    def handle(self, *args: Any, **options: Any) -> None:
        # SIGTERM ends the command as Ctrl-C does: through `finally`, so that no private stack is left behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            status = self._handle(options)
        except BenchmarkError as error:
            raise CommandError(str(error), returncode=error.status) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted", returncode=INTERRUPTED) from None
        if status:
            sys.exit(status)

    def _handle(self, options: dict[str, Any]) -> int:
        before, tolerance = _comparison(options)
        results = run(
            _named(options["scenario"]),
            Options(
                **{name: options[name] for name in (*SIZES, *UPTIME)},
                profile=read_file(options["profile"]) if options["profile"] else None,
            ),
            Console(stderr=True),
            deployment=_deployment(options),
            with_limits=not options["no_limits"],
            keep=_keeping(options["json"]),
        )
        changes = baseline.compare(before, results.figures)
        missed = results.missed(claims_only=options["claims_only"])
        if tolerance is not None:
            missed += [
                f"{one.title}: worse by {one.worse:.1f} % than the baseline"
                for one in baseline.regressions(changes, tolerance)
            ]
        table.show(_console(), results, changes, missed)
        if options["json"]:
            options["json"].write_text(json.dumps(document(results, changes, missed), indent=2) + "\n")
        if options["html"]:
            options["html"].write_text(page(results, changes, missed))
        return THRESHOLD_MISSED if missed else PASSED


def _keeping(file: Path | None) -> Callable[[Results], None] | None:
    """Writes the results so far to this file."""
    if file is None:
        return None

    def keep(results: Results) -> None:
        # Whoever reads it meanwhile gets all of one state.
        part = file.with_name(f".{file.name}.part")
        part.write_text(json.dumps(document(results, [], results.missed()), indent=2) + "\n")
        part.replace(file)

    return keep


def _named(scenarios: str | list[str]) -> list[str]:
    """The scenarios, each once, in the order in which they were named."""
    return list(dict.fromkeys([scenarios] if isinstance(scenarios, str) else scenarios or [ALL]))


def _comparison(options: dict[str, Any]) -> tuple[dict[str, float], float | None]:
    """The baseline's values and the tolerance in percent, read before anything is measured."""
    tolerance = options["fail_on_regression"]
    if options["baseline"] is None:
        if tolerance is not None:
            raise Usage("--fail-on-regression goes with --baseline FILE.")
        return {}, None
    return baseline.read(options["baseline"]), baseline.percent(tolerance) if tolerance is not None else None


def _deployment(options: dict[str, Any]) -> Deployment | None:
    url, key = options["url"], options["api_key"]
    # A key of the environment says nothing of what is measured.
    if url:
        key = api_key(key)
    if bool(url) != bool(key):
        raise Usage(f"--url goes with a key (--api-key or {VARIABLE}); without both, a private stack is measured.")
    if not url and (options["database_url"] or options["broker_url"]):
        raise Usage("--database-url and --broker-url go with --url.")
    return Deployment(url.rstrip("/"), key, options["database_url"], options["broker_url"]) if url else None


def _natural(text: str) -> int:
    with suppress(ValueError):
        value = int(text)
        if value >= 0:
            return value
    raise ArgumentTypeError(f"{text!r} is not a whole number from 0 on")


def _positive(text: str) -> int:
    with suppress(ValueError):
        value = int(text)
        if value >= 1:
            return value
    raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def _seconds(text: str) -> float:
    """Seconds: 90, 90s, 5m, 1h."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    value = float(number) * units[unit]
    if not 1 <= value <= 86_400:
        raise ValueError
    return value


def _calm(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name and name != "none")
    if unknown := sorted(set(names) - set(KINDS)):
        raise ArgumentTypeError(f"{', '.join(unknown)}: not a kind of fault; known are {', '.join(KINDS)}")
    return names


def _rate(text: str) -> float:
    with suppress(ValueError):
        value = float(text)
        if 0 < value < 1e6:
            return value
    raise ArgumentTypeError(f"{text!r} is not a number above 0 and below a million")


def _console() -> Console:
    """As wide as the terminal; a file or a pipe gets room for whole words."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=120)
