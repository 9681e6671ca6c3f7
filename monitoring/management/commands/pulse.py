"""`manage.py pulse`: health, errors, alert rules, channels and who is on call, in a terminal."""

import dataclasses
import getpass
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring import oncall, store
from monitoring.alerting import in_force
from monitoring.api import anomalies
from monitoring.api.health import document
from monitoring.applying import apply, read_file
from monitoring.conf import conf
from monitoring.core.oncall import BadPlan, read_plan
from monitoring.core.rules import BadRules, Rule
from monitoring.errors import OnCallInvalid
from monitoring.exporting import alertmanager, prometheus_rules
from monitoring.management import error_listing, tailing, taking_on
from monitoring.reaching import kind_of, try_target
from monitoring.watching import watching
from workflows.core.source import SourceInvalid, read

_FOUND = {"unusual": "◐", "usual": "●", "unknown": "?", "not_enough_data": "?"}
_MARKS = {"ok": "●", "degraded": "◐", "down": "✖", "unknown": "?"}


def _operator() -> str:
    """Who is recorded to have done it."""
    return f"command:{getpass.getuser()}"[:200]


@contextmanager
def _faults(file: Path) -> Iterator[None]:
    """Every fault of a file, in lines."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error
    except (SourceInvalid, BadRules, BadPlan, OnCallInvalid) as error:
        raise CommandError("\n".join(str(fault) for fault in error.faults)) from error


class Command(BaseCommand):
    help = (
        "What PULSE sees. `status`: every component with its state, since when, and one sentence; works while "
        "PostgreSQL is away. Exit status: 0 if everything is ok, 1 if not, 2 if something is unknown or down. "
        "`tail`: what changes, as it happens. `anomalies`: what is unusual for this hour of the week. "
        "`errors`: what fails, in groups of one kind. `test-alert`: exit status 1 if a channel did not take the test."
    )

    def add_arguments(self, parser: Any) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        status = commands.add_parser("status", help="the health of every component")
        status.add_argument("--json", action="store_true", help="as GET /api/v1/health answers it")

        test = commands.add_parser("test-alert", help="send a test to channels, and say what became of it")
        test.add_argument("channel", nargs="*", help="names of channels; without one, all, and those of the settings")
        test.add_argument("--json", action="store_true")

        taking = commands.add_parser(
            "take-on", help="you have it: nobody else is called; on a leader's host also while PostgreSQL is away"
        )
        taking.add_argument("rule", nargs="*", help="of which alerts; without one, of all that fire")
        taking.add_argument("--note", default="", help="for the others")

        rules = commands.add_parser("rules", help="alert rules, in a file or in force")
        do = rules.add_subparsers(dest="do", required=True)
        do.add_parser("check", help="name every fault of the file").add_argument("file", type=Path)
        kept = do.add_parser("apply", help="keep the rules of the file, all or none")
        kept.add_argument("file", type=Path)
        kept.add_argument("--prune", action="store_true", help="delete rules of this site that it does not have")
        export = do.add_parser("export", help="the rules in force, your own included, for Prometheus")
        export.add_argument("--alertmanager", action="store_true", help="what groups and inhibits them instead")

        plan = commands.add_parser("on-call", help="the on-call plan in a file")
        plan.add_argument("do", choices=["check", "apply"], help="name every fault of the file, or keep the plan")
        plan.add_argument("file", type=Path)

        unusual = commands.add_parser("anomalies", help="what is unusual for this hour of the week")
        unusual.add_argument("--json", action="store_true", help="as GET /api/v1/anomalies answers it")

        tail = commands.add_parser("tail", help="what changes, as it happens; Ctrl-C ends it")
        tail.add_argument("--json", action="store_true", help="one object a line")
        tail.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="end by itself after so long")

        error_listing.add_arguments(commands.add_parser("errors", help="what fails, in groups of one kind"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "errors":
            error_listing.show(self.stdout.write, options)
            return
        if options["what"] == "rules":
            if options["do"] == "export":
                self._export(alertmanager if options["alertmanager"] else prometheus_rules)
            else:
                self._rules(options["do"], options["file"], prune=options.get("prune", False))
            return
        if options["what"] == "on-call":
            self._plan(options["do"], options["file"])
            return
        if options["what"] == "take-on":
            taking_on.take_on_now(self.stdout.write, options["rule"], by=_operator(), note=options["note"])
            return
        if options["what"] == "test-alert":
            self._test(options["channel"], as_json=options["json"])
            return
        if options["what"] == "anomalies":
            self._anomalies(as_json=options["json"])
            return
        if options["what"] == "tail":
            tailing.show(self.stdout, as_json=options["json"], seconds=options["seconds"])
            return
        try:
            found = document()
        finally:
            watching.stop()
        if options["json"]:
            self.stdout.write(json.dumps(found, default=lambda moment: moment.isoformat()))
        else:
            self._show(found)
        if (code := {"ok": 0, "degraded": 1}.get(found["state"], 2)) != 0:
            raise SystemExit(code)

    def _anomalies(self, *, as_json: bool) -> None:
        found = anomalies.document()
        if as_json:
            self.stdout.write(json.dumps(found, default=lambda moment: moment.isoformat()))
            return
        for one in found["items"]:
            self.stdout.write(f"{_FOUND[one['state']]} {one['sentence']}")
        for mark in found["marks"]:
            self.stdout.write(f"- {mark['since']:%Y-%m-%d %H:%M} UTC, an hour: {mark['name']} {mark['value']:,.3g}")

    def _test(self, names: list[str], *, as_json: bool) -> None:
        known = store.channels()
        if unknown := [name for name in names if name not in known]:
            raise CommandError(f"no such channel: {', '.join(unknown)}")
        targets = [f"channel:{name}" for name in names or known] + ([] if names else list(conf().targets))
        if not targets:
            raise CommandError("there is no channel, and none in the settings")
        found = [(kind_of(target), try_target(target, known)) for target in targets]
        if as_json:
            self.stdout.write(json.dumps([{"target": name, "taken": not why, "error": why} for name, why in found]))
        else:
            for name, why in found:
                self.stdout.write(f"✖ {name}: {why}" if why else f"● {name}: taken")
        if any(why for _, why in found):
            raise SystemExit(1)

    def _rules(self, do: str, file: Path, *, prune: bool) -> None:
        with _faults(file):
            rules, off = read_file(read(file.read_bytes(), "yaml"))
            if do == "check":
                self.stdout.write(f"{len(rules)} rules, no faults")
                return
            done = apply(rules, off, by=_operator(), prune=prune)
        for what, names in dataclasses.asdict(done).items():
            if names:
                self.stdout.write(f"{what}: {', '.join(names)}")

    def _plan(self, do: str, file: Path) -> None:
        with _faults(file):
            found = read(file.read_bytes(), "yaml")
            if do == "apply":
                oncall.put_plan(found, by=_operator())
                self.stdout.write("the plan is kept")
            else:
                read_plan(found, set(store.channels()))
                self.stdout.write("no faults")

    def _export(self, write: Callable[[Iterable[Rule], str], str]) -> None:
        rules = in_force(store.read_own_rules()).values()
        self.stdout.write(write(rules, "pulse rules export"), ending="")

    def _show(self, found: dict[str, Any]) -> None:
        self.stdout.write(f"{_MARKS[found['state']]} {found['state']}: {found['sentence']}\n\n")
        width = max(len(one["component"]) for one in found["components"])
        for one in found["components"]:
            since = f" (since {one['since']:%Y-%m-%d %H:%M:%S})" if one["since"] is not None else ""
            state = f"{_MARKS[one['state']]} {one['state']}"
            self.stdout.write(f"{one['component']:<{width}}  {state:<10}  {one['sentence']}{since}")
