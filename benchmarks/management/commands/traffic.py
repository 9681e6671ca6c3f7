"""`manage.py traffic`: makes a profile for `run_benchmarks traffic` from what a deployment was asked; checks one."""

import sys
from argparse import ArgumentTypeError
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benchmarks.errors import BenchmarkError, Usage
from benchmarks.keys import VARIABLE, api_key
from benchmarks.scenarios.traffic import same_host
from benchmarks.traffic import frames, logs
from benchmarks.traffic.addresses import addresses
from benchmarks.traffic.files import read_file
from benchmarks.traffic.format import MARKER
from benchmarks.traffic.profile import BadProfile, read
from benchmarks.traffic.recording import NothingSeen, Seen, Wanted, as_yaml, profile_of

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}


class Command(BaseCommand):
    help = "Profiles of load tests: `record` makes one from a deployment's rates by route, `check` names what is wrong."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        record = actions.add_parser("record", help="a profile, from PULSE (--url, --api-key) or from --logs")
        add = record.add_argument
        add("--url", help="the deployment whose traffic is recorded")
        add("--api-key", help=f"its key, scope viewer; else {VARIABLE}, which no list of processes shows")
        add("--range", type=_span, default=3_600, help="how far back: 30m, 6h, at most 1d; default: 1h")
        add("--end", help="where the range ends, as 2026-11-23T18:00:00Z; default: now")
        add("--logs", action="append", metavar="FILE", help="HAProxy's, or JSON lines; - is stdin; may be repeated")
        add("--minutes", type=_minutes, help="how long the load lasts; default: as long as what was recorded")
        add("--scale", type=_scale, default=1.0, help="times the rate that was seen; default: 1")
        add("--writes", action="store_true", help="with starts of runs, signals, events")
        add("--host", help="the only host that the profile may be used on, as staging.example; required")
        add("--same-host", action="store_true", help="the load is for the deployment that is recorded")
        add("--start", action="append", default=[], metavar="WORKFLOW", help="which starts are of; may be repeated")
        add("--output", type=Path, metavar="FILE", help="where the profile goes; default: stdout")
        check = actions.add_parser("check", help="name what is wrong with a profile; exit status 2 if anything is")
        check.add_argument("profile", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["action"] == "check":
                self._check(options["profile"])
            else:
                self._record(options)
        except BenchmarkError as error:
            raise CommandError(str(error), returncode=error.status) from None

    def _check(self, path: Path) -> None:
        found = read_file(path)
        where = f"writes to {found.host}" if found.writes else "only reads"
        self.stdout.write(
            f"{path}: {len(found.begun)} requests, {found.rate:g} sessions/s at factor 1, {found.seconds:g} s; {where}."
        )

    def _record(self, options: dict[str, Any]) -> None:
        url, key, files = options["url"], options["api_key"], options["logs"]
        if bool(url) == bool(files):
            raise Usage("Record either from --url with a key, or from --logs.")
        if url:
            key = api_key(key)
        if bool(url) != bool(key):
            raise Usage(f"--url and a key (--api-key or {VARIABLE}) go together.")
        if not options["host"]:
            raise Usage("--host is required: the only host that the load may be sent to, as staging.example.")
        if url and same_host(url, options["host"]) and not options["same_host"]:
            raise Usage(
                f"--host {options['host']} is the deployment that is recorded: name the one to be loaded. "
                "If they are meant to be the same, say --same-host."
            )
        if options["start"] and not options["writes"]:
            raise Usage("--start goes with --writes.")
        seen = Seen(addresses())
        if url:
            frames.record(url, key, seen, seconds=options["range"], end=options["end"])
            source = "PULSE's rates by route"
        else:
            self._read_logs(files, seen)
            source = "request logs"
        wanted = Wanted(
            options["host"], options["writes"], tuple(options["start"]), options["minutes"], options["scale"]
        )
        try:
            document, left_out = profile_of(seen, wanted)
        except NothingSeen as error:
            raise BenchmarkError(" ".join([error.args[0], *error.args[1]])) from None
        text = as_yaml(document, source, left_out)
        open_places = self._open_places(text)
        if not url:
            # Logs do not say of which host they are, so nobody but the reader can compare it.
            self.stderr.write(f"The load will be sent to {options['host']}: check that the logs are not of this host.")
        if options["output"]:
            try:
                options["output"].write_text(text)
            except OSError as error:
                raise Usage(f"{options['output']} cannot be written: {error.strerror}") from None
        else:
            self.stdout.write(text, ending="")
        if open_places:
            self.stderr.write(f"{len(open_places)} places are to be filled in: {', '.join(open_places)}")

    def _open_places(self, text: str) -> list[str]:
        """Where the profile is to be filled in. Raises Usage for what else is wrong with it, by --host or --start."""
        try:
            read(text)
        except BadProfile as error:
            if other := [one for one in error.faults if MARKER not in one.message]:
                raise Usage("\n".join(map(str, other))) from None
            return [one.path for one in error.faults]
        return []

    def _read_logs(self, files: list[str], seen: Seen) -> None:
        for name in files:
            with ExitStack() as opened:
                try:
                    file = sys.stdin.buffer if name == "-" else opened.enter_context(Path(name).open("rb"))
                    for line in logs.lines(file):
                        if line is None:
                            seen.left_out[logs.NO_REQUEST] += 1
                        else:
                            seen.add(line.minute, line.method, line.path, line.status)
                except OSError as error:
                    raise Usage(f"{name} cannot be read: {error.strerror}") from None
        seen.fill()


def _span(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if (
        not number.isascii()
        or not number.isdigit()
        or unit not in _UNITS
        or not 60 <= int(number) * _UNITS[unit] <= 86_400
    ):
        raise ArgumentTypeError(f"{text!r} is not a time from 1m to 1d, as 30m or 6h")
    return int(number) * _UNITS[unit]


def _scale(text: str) -> float:
    value = float(text)
    if not 0.0001 <= value <= 10_000:
        raise ArgumentTypeError(f"{text!r} is not between 0.0001 and 10000")
    return value


def _minutes(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1_440:
        raise ArgumentTypeError(f"{text!r} is not between 0.1 and 1440")
    return value
