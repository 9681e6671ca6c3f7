"""Plays a workflow from its beginning to its end on a simulated clock. Nothing of it stays."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from erip.foundation.errors import EripError
from erip.foundation.moments import moment
from erip.foundation.os_errors import in_words
from workflows.core.durations import NotADuration
from workflows.library.reference import sample_incident
from workflows.models import WorkflowVersion
from workflows.testing.moments import signal
from workflows.testing.rehearsing import Rehearsed, duration, rehearse
from workflows.testing.results import Entry
from workflows.testing.stubs import StubUnfit

#: what shipped workflows are tried with
_INPUTS = {"breach-response": lambda: {**sample_incident(), "respond": True}}


class Command(BaseCommand):
    help = (
        "Plays a workflow on a simulated clock: what runs, who is asked, reminded and notified, and what is missed. "
        "Steps that look things up run; all others give an example of their output. Nothing is stored, sent or called."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow", metavar="NAME", help="its newest version; or a file, YAML or JSON (*.json)")
        parser.add_argument("--at", required=True, help="when it begins: RFC 3339, as 2026-12-24T16:00+01:00")
        parser.add_argument("--absent", action="append", default=[], metavar="GROUP", help="answers nothing")
        parser.add_argument("--input", metavar="FILE", help="JSON; by default that of the sample, or {}")
        parser.add_argument("--outputs", metavar="FILE", help="JSON: outputs of steps by their ids")
        parser.add_argument("--answer-after", default="30m", metavar="DURATION", help="how long people take to approve")
        parser.add_argument("--signal", action="append", default=[], metavar="NAME@AFTER", help="a signal that comes")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        at = _moment(options["at"])
        try:
            during = [signal(name, after=after) for name, _, after in (one.partition("@") for one in options["signal"])]
            for one in during:
                one.at(at)
            after = duration(options["answer_after"])
        except NotADuration as error:
            raise CommandError(str(error)) from None
        given, outputs = _input(options), _json(options["outputs"]) if options["outputs"] else {}
        definition = _definition(options["workflow"])
        try:
            with transaction.atomic():
                done = rehearse(
                    definition, given, at=at, absent=options["absent"], answered_after=after, during=during,
                    outputs=outputs,
                )  # fmt: skip
                # Whatever a body wrote is undone.
                transaction.set_rollback(True)
        except (EripError, StubUnfit) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(_as_json(done) if options["json"] else _as_text(done, at))


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("has no offset, as +01:00")
        moment(found.isoformat())
    except ValueError as error:
        raise CommandError(f"--at {error}") from None
    return found


def _input(options: dict[str, Any]) -> dict[str, Any]:
    if options["input"]:
        return _json(options["input"])
    sample = _INPUTS.get(options["workflow"])
    return sample() if sample is not None else {}


def _json(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(in_words(error, path)) from None
    if not isinstance(found, dict):
        raise CommandError(f"{path}: is no object")
    return found


def _definition(name: str) -> Path | str:
    path = Path(name)
    if path.is_file():
        return path
    version = WorkflowVersion.objects.filter(definition__name=name).order_by("-number").first()
    if version is None:
        raise CommandError(f"There is no workflow {name[:100]}, and no such file.")
    return json.dumps(version.document)


def _as_text(done: Rehearsed, at: datetime) -> str:
    result = done.result
    ended = result.ended_at.astimezone(at.tzinfo).isoformat(" ", "minutes") if result.ended_at else "it does not end"
    lines = [f"{result.workflow}: {result.state}, from {at.isoformat(' ', 'minutes')} to {ended}", ""]
    lines += [_line(one, at) for one in result.history]
    lines += ["", f"Missed: {len(done.missed)}", *(f"  {_line(one, at)}" for one in done.missed)]
    if done.stood_in:
        names = ", ".join(f"{step} ({uses})" for step, uses in done.stood_in.items())
        lines += ["", f"Did not run, an example stood in: {names}"]
    lines += [f"  {id} {step.waits_for}" for id, step in result.steps.items() if step.waits_for]
    return "\n".join(lines)


def _line(entry: Entry, at: datetime) -> str:
    return f"{entry.at.astimezone(at.tzinfo):%a %m-%d %H:%M:%S}  {entry}"


def _as_json(done: Rehearsed) -> str:
    def shown(entry: Entry) -> dict[str, Any]:
        return {name: getattr(entry, name) for name in ("at", "after", "type", "step", "item", "attempt", "detail")}

    result = done.result
    told = {
        "workflow": result.workflow,
        "state": result.state,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        "output": result.output,
        "error": result.error,
        "history": [shown(one) for one in result.history],
        "missed": [shown(one) for one in done.missed],
        "stood_in": done.stood_in,
    }
    return json.dumps(told, cls=DjangoJSONEncoder, indent=2)
