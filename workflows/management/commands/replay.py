"""Decides stored runs again, so that an upgrade can be tried on one's own history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows import engine
from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.durations import NotADuration, parse_duration
from workflows.core.graph import Graph
from workflows.errors import WorkflowsError
from workflows.graphs import graph_of
from workflows.management.validation.formats import printable
from workflows.replay import by_definition, decide_again, runs_since
from workflows.replay.pages import Against

#: differences that are printed of one run
MOST = 20


class Command(BaseCommand):
    help = (
        "Decides every stored run again with the code of today, and prints each difference. With --definition FILE: "
        "by that definition, as if its workflow's runs had been started with it, and prints what would be otherwise "
        "and what is not known. Reads only. Exit code: 0 nothing is different, 1 something is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="30d", help="how long ago the oldest run was created: 30d, 12h")
        parser.add_argument("--workflow", help="only runs of this workflow")

        parser.add_argument("--definition", metavar="FILE", help="decide by it in place of each run's own")
        parser.add_argument(
            "--against",
            choices=list(Against),
            default=str(Against.ALL),
            help="runs that have ended (past), that have not (waiting), or all (default)",
        )

    def handle(self, *, since: str, workflow: str | None, definition: str | None, against: str, **_: Any) -> None:
        try:
            begin = datetime.now(UTC) - timedelta(seconds=parse_duration(since))
        except (NotADuration, OverflowError) as error:
            raise CommandError(f"--since: {error}", returncode=2) from error
        other = _read(definition) if definition is not None else None
        if other is not None:
            if workflow not in (None, other.name):
                raise CommandError(f"--workflow: the definition is of {other.name}", returncode=2)
            workflow = other.name
        runs = different = unknown = 0
        for run in runs_since(begin, workflow=workflow):
            if against != Against.ALL and (run.finished_at is None) is not (against == Against.WAITING):
                continue
            runs += 1
            name = f"{run.view.workflow} {run.view.id}"
            try:
                graph = graph_of(run.version_id)
            except DefinitionInvalid as error:
                different += 1
                self.stdout.write(printable(f"{name}: its definition cannot be read: {error}"))
                continue
            if other is None:
                found = decide_again(run, graph, max_lost=conf().max_lost_attempts)
            else:
                outcome = by_definition(run, graph, other, max_lost=conf().max_lost_attempts)
                found = outcome.differences
                unknown += bool(outcome.unknown)
                for one in outcome.unknown[:MOST]:
                    self.stdout.write(printable(f"{name}: not known: {one}"))
            different += bool(found)
            for difference in found[:MOST]:
                self.stdout.write(printable(f"{name}: {difference}"))
            if len(found) > MOST:
                self.stdout.write(f"{name}: and {len(found) - MOST} more")
        told = f", {unknown:,} with something that is not known" if other is not None else ""
        self.stdout.write(f"{runs:,} runs decided again, {different:,} of them differently{told}")
        if different or unknown:
            raise SystemExit(1)


def _read(file: str) -> Graph:
    """The graph of a definition in a file."""
    try:
        source = Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", returncode=2) from None
    try:
        return engine.validate(source, "json" if file.endswith(".json") else "yaml")
    except WorkflowsError as error:
        faults = getattr(error, "faults", None) or [error]
        raise CommandError("\n".join(f"{file}: {fault}" for fault in faults), returncode=2) from None
