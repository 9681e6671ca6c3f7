"""Decides stored runs again, so that an upgrade can be tried on one's own history."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.durations import NotADuration, parse_duration
from workflows.graphs import graph_of
from workflows.management.validation.formats import printable
from workflows.replay import decide_again, runs_since

#: differences that are printed of one run
MOST = 20


class Command(BaseCommand):
    help = (
        "Decides every stored run again with the code of today, and prints each difference. Reads only. Exit code: 0 "
        "nothing is different, 1 something is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="30d", help="how long ago the oldest run was created: 30d, 12h")
        parser.add_argument("--workflow", help="only runs of this workflow")

    def handle(self, *, since: str, workflow: str | None, **_: Any) -> None:
        try:
            begin = datetime.now(UTC) - timedelta(seconds=parse_duration(since))
        except (NotADuration, OverflowError) as error:
            raise CommandError(f"--since: {error}", returncode=2) from error
        runs = different = 0
        for run in runs_since(begin, workflow=workflow):
            runs += 1
            name = f"{run.view.workflow} {run.view.id}"
            try:
                graph = graph_of(run.version_id)
            except DefinitionInvalid as error:
                different += 1
                self.stdout.write(printable(f"{name}: its definition cannot be read: {error}"))
                continue
            found = decide_again(run, graph, max_lost=conf().max_lost_attempts)
            different += bool(found)
            for one in found[:MOST]:
                self.stdout.write(printable(f"{name}: {one}"))
            if len(found) > MOST:
                self.stdout.write(f"{name}: and {len(found) - MOST} more")
        self.stdout.write(f"{runs:,} runs decided again, {different:,} of them differently")
        if different:
            raise SystemExit(1)
