"""manage.py runs cancel|retry: operations on many runs, from a terminal on a node, without the API."""

import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

import orjson
from django.core.management.base import BaseCommand, CommandError

from erip.foundation.moments import moment
from workflows import operations
from workflows.core.states import Lane
from workflows.errors import WorkflowsError
from workflows.operations import OPERATIONS, Operation
from workflows.store import RunFilter

#: the name that is recorded for what this command does
BY = "command:runs"
#: options of the filter that are texts, and moments
_TEXTS = ("workflow", "business_key", "business_key_prefix", "business_key_contains", "error_code", "failed_step")
_MOMENTS = ("created_after", "created_before", "ended_after", "ended_before")
#: seconds between two lines of progress
_EVERY = 1.0


class Command(BaseCommand):
    help = (
        "Cancels runs, or runs them again: all that the options match. It counts them and asks first; the batch is "
        "durable, and goes on if the command is interrupted. Each run is retried once, whoever asks."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for operation in OPERATIONS.values():
            action = actions.add_parser(operation.name)
            for name in (*_TEXTS, *_MOMENTS):
                action.add_argument(f"--{name.replace('_', '-')}")
            action.add_argument("--status", choices=operation.states_in_order())
            action.add_argument("--lane", choices=list(Lane))
            action.add_argument("--id", dest="ids", action="append", metavar="RUN", help="only this run; repeatable")
            action.add_argument("--expected-count", type=int, metavar="N", help="do nothing unless there are as many")
            action.add_argument("--reason", default="")
            action.add_argument("--dry-run", action="store_true", help="only count the runs")
            action.add_argument("--yes", action="store_true", help="do not ask")
            action.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        operation, wanted = OPERATIONS[action], _filter(options)
        if len(options["reason"]) > 1000:
            raise CommandError("--reason has more than 1,000 characters")
        try:
            self._handle(operation, wanted, options)
        except WorkflowsError as error:
            raise CommandError(str(error)) from error

    def _handle(self, operation: Operation, wanted: RunFilter, options: dict[str, Any]) -> None:
        expected = options["expected_count"]
        if options["dry_run"] or not options["yes"]:
            found = operations.preview(operation, wanted)
            if options["dry_run"] and options["json"]:
                self._print({"operation": found.operation, "dry_run": True, "count": found.count,
                             "by_workflow": found.by_workflow, "by_status": found.by_status})  # fmt: skip
                return
            for name, count in (*found.by_workflow.items(), *found.by_status.items()):
                self.stderr.write(f"{count:>9,}  {name}")
            if options["dry_run"]:
                self.stdout.write(f"{found.count:,} runs would be taken; without --dry-run it is done.")
                return
            self._ask(operation, found.count)
            expected = found.count if expected is None else expected
        batch = operations.begin(operation, wanted, principal=BY, reason=options["reason"], expected=expected)
        self._follow(batch, json=options["json"])

    def _ask(self, operation: Operation, count: int) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here: say --yes, or --dry-run to see what would be done.")
        if input(f"{operation.name} {count:,} runs? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.")

    def _follow(self, batch: str, *, json: bool) -> None:
        """Work on it, together with the leader if there is one, until it is done or has to wait."""
        self.stderr.write(f"batch {batch}")
        while True:
            done = operations.work_off(seconds=_EVERY, only=batch)
            now = operations.batch_document(batch)
            if not json:
                outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in now["outcomes"].items())
                self.stdout.write(f"{now['status']}: {outcomes or 'no runs'}")
            if now["status"] == "done" or (not done and now["status"] == "waiting"):
                break
        if json:
            self._print(now)
        elif now["status"] == "waiting":
            self.stdout.write(f"It goes on by itself; it waits: {now['waits_for']}.")

    def _print(self, value: Any) -> None:
        self.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def _filter(options: dict[str, Any]) -> RunFilter:
    """Every fault of the options at once."""
    values: dict[str, Any] = {name: options[name] for name in (*_TEXTS, "status", "lane", "ids")}
    faults = [f"--{name.replace('_', '-')} holds U+0000" for name in _TEXTS if "\0" in (values[name] or "")]
    for name in _MOMENTS:
        if options[name] is not None:
            try:
                values[name] = moment(options[name])
            except ValueError as error:
                faults.append(f"--{name.replace('_', '-')} {error}")
    faults += [f"--id {each[:100]} is not the id of a run" for each in values["ids"] or [] if not _is_id(each)]
    if faults:
        raise CommandError("\n".join(faults))
    return RunFilter(**values)


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
