"""`manage.py pulse`: the health of every component, errors, and alert rules checked and exported, in a terminal."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring import store
from monitoring.alerting import in_force
from monitoring.api.health import document
from monitoring.core.rules import BadRules, Rule, read_rules
from monitoring.exporting import alertmanager, prometheus_rules
from monitoring.management import error_listing
from monitoring.watching import watching
from workflows.core.source import SourceInvalid, read

_MARKS = {"ok": "●", "degraded": "◐", "down": "✖", "unknown": "?"}


class Command(BaseCommand):
    help = (
        "What PULSE sees. `status`: every component with its state, since when, and one sentence; works while "
        "PostgreSQL is away. Exit status: 0 if everything is ok, 1 if not, 2 if something is unknown or down. "
        "`errors`: what fails, in groups of one kind."
    )

    def add_arguments(self, parser: Any) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        status = commands.add_parser("status", help="the health of every component")
        status.add_argument("--json", action="store_true", help="as GET /api/v1/health answers it")

        rules = commands.add_parser("rules", help="alert rules, in a file or in force")
        do = rules.add_subparsers(dest="do", required=True)
        do.add_parser("check", help="name every fault of the file").add_argument("file", type=Path)
        export = do.add_parser("export", help="the rules in force, your own included, for Prometheus")
        export.add_argument("--alertmanager", action="store_true", help="what groups and inhibits them instead")

        error_listing.add_arguments(commands.add_parser("errors", help="what fails, in groups of one kind"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "errors":
            error_listing.show(self.stdout.write, options)
            return
        if options["what"] == "rules":
            if options["do"] == "check":
                self._check(options["file"])
            else:
                self._export(alertmanager if options["alertmanager"] else prometheus_rules)
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

    def _check(self, file: Path) -> None:
        try:
            rules = read_rules(read(file.read_bytes(), "yaml"))
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from error
        except (SourceInvalid, BadRules) as error:
            raise CommandError("\n".join(str(fault) for fault in error.faults)) from error
        self.stdout.write(f"{len(rules)} rules, no faults")

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
