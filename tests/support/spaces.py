"""Two spaces with one of everything in each, and the same in no space; and the second wall between them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.db import connection
from django.utils import timezone

from erip.access import tables
from erip.access.models import Space
from erip.foundation.db import walls
from erip.foundation.db.privileges import Roles
from monitoring.models import Alert
from schedules import stored as schedules
from tests.integration.test_doors import VALUES
from tests.support.api import DEFINITION, INPUT
from tests.support.clocks import legal_clock
from workflows import engine, operations
from workflows.core.lifecycle import source_of
from workflows.decisions import stored as tables_of
from workflows.engine.spaces import move
from workflows.events import stored as triggers
from workflows.events.models import DeadLetter, Delivery, Event, PendingStart, Subscription
from workflows.events.store import months
from workflows.models import ApprovalTask, Hold, RunBatch, WorkflowRun
from workflows.store import RunFilter

MINE, THEIRS, NOBODYS = "mine-flow", "their-flow", "free-flow"
NOWHERE = "01a00000-0000-7000-8000-000000000000"
#: of each kind of object, one that does not exist
ABSENT = {
    "run": NOWHERE, "batch": NOWHERE, "pending-start": NOWHERE, "subscription": NOWHERE, "event": "0-999999",
    "approval": "999999999", "dead-letter": "999999999", "delivery": "999999999",
}  # fmt: skip
_MORE = """\
  sign: {{needs: [enrich], approval: {{title: Sign, quorum: [{{role: ciso}}]}}}}
  choose: {{needs: [enrich], decision: of-{name}}}
output: """
_TABLE = {
    "inputs": [{"name": "n", "type": "number", "optional": True}],
    "outputs": [{"name": "o", "type": "number"}],
    "hit_policy": "FIRST",
    "rules": [{"then": {"o": "1"}}],
}
_RULE = {"event": "nexus.threat.*", "input": {"cves": []}}


def definition(name: str) -> str:
    """That of the other tests, with a step that asks people, and its mark."""
    marked = DEFINITION.replace("Look a list of vulnerabilities up.", World.mark(name), 1)
    # A critical run is never refused for the time that others have waited.
    marked = marked.replace("lane: high", "lane: critical")
    return marked.replace("look-up", name, 1).replace("output: ", _MORE.format(name=name), 1)


@contextmanager
def wall() -> Iterator[None]:
    """The second wall stands in the test's database. Its servers have the role that it needs."""
    app = connection.settings_dict["USER"]
    roles, rules = Roles(app, app, limited=walls.limited_role(app)), tables.rules()
    named = ", ".join(f'"{table}"' for table in [*rules.walled, *rules.open_to_all])
    walls.build(roles, rules.walled)
    with connection.cursor() as cursor:
        cursor.execute(f'GRANT SELECT ON {named} TO "{roles.limited}"')
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'REVOKE SELECT ON {named} FROM "{roles.limited}"')
        walls.build(Roles(app, app), {})


class World:
    """ids: kind of object → workflow → the one that belongs to it."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.ids: dict[str, dict[str, str]] = {}
        months.ensure_months_ahead(1)
        for number, (name, space) in enumerate(((MINE, "mine"), (THEIRS, "theirs"), (NOBODYS, ""))):
            tables_of.publish(f"of-{name}", {**_TABLE, "description": self.mark(name)}, author="test")
            engine.publish(None, definition(name), "yaml", author="test")
            if space:
                Space.objects.create(name=space)
                move(name, space)
            started = engine.start_runs(name, [engine.StartRequest(INPUT, self.mark(name))], principal="test")
            self.runs[name] = started[0].id
            hourly = {"workflow": name, "input": INPUT, "every": "1h", "catch_up": "none", "overlap": "allow"}
            schedules.put(name, document=hourly, description=self.mark(name), author="test")
            for kind, id_ in self._things(number, name, started[0].id).items():
                self.ids.setdefault(kind, {})[name] = str(id_)

    def _things(self, number: int, name: str, run: str) -> dict[str, Any]:
        now, mark, source = timezone.now(), self.mark(name), source_of(name)
        triggers.put(name, workflow=name, rule=_RULE, description=mark, author="test")
        Hold.objects.create(kind="workflow", name=name, clock="stop", by="test", reason=mark, resumed_at=now)
        alert = Alert.objects.create(
            rule="slow", labels=[["workflow", name]], serial=1, stage="firing", severity="ticket", summary=mark,
            since=now, held_at=now, impact={"runs": mark}, causes=[],
        )  # fmt: skip
        clock = legal_clock(run_id=UUID(run), workflow=name, title=mark)
        told = {"id": mark, "source": source, "type": "workflow.run.started", "data": {"workflow": name}}
        event = Event.objects.create(
            partition=0, position=number, logged_at=now, accepted_at=now, type=told["type"], source=source,
            subject=run, event_id=mark, event=orjson.dumps(told).decode(),
        )  # fmt: skip
        subscription = Subscription.objects.create(
            url=f"https://hooks.example.com/{mark}", types=["workflow.*"], source=source, created_by="test",
            enabled=False,
        )  # fmt: skip
        return {
            "run": run,
            "decision": f"of-{name}",
            "alert": alert.pk,
            "clock": clock.pk,
            "event": f"{event.partition}-{event.position}",
            "subscription": subscription.pk,
            "delivery": Delivery.objects.create(subscription=subscription, body="{}", type="t", event_id=mark).pk,
            "approval": ApprovalTask.objects.create(
                run_id=run, step="sign", workflow=name, business_key=mark, title=mark, content={"title": mark},
                version_id=WorkflowRun.objects.get(pk=run).version_id, content_hash="0" * 64, seats=1, roles=["ciso"],
                barred=["test"],
            ).pk,
            "batch": operations.begin(
                operations.OPERATIONS["cancel"], RunFilter(workflow=name), principal="test", reason=mark
            ),
            "pending-start": PendingStart.objects.create(
                id=uuid4(), workflow=name, trigger=mark, rule={}, count=1, since=now, due_at=now
            ).pk,
            "dead-letter": DeadLetter.objects.create(
                partition=0, type="t", source="/s", event_id="1", event=orjson.dumps({"id": mark}).decode(),
                effect="triggers", target=name, code="x", message=mark,
            ).pk,
        }  # fmt: skip

    @staticmethod
    def mark(name: str) -> str:
        """What everything of this workflow says somewhere, and nothing else."""
        return f"mark-of-{name}"

    def address(self, route: str, about: str, name: str) -> str:
        """The address of a door, about what belongs to the workflow of this name; to one that there is not, about what
        does not exist. about: as the operation says."""
        kind, _, parameter = about.partition(":")

        def value(found: re.Match[str]) -> str:
            converter, called = found[1], found[2]
            if called == parameter:
                return self.ids.get(kind, {}).get(name) or ABSENT.get(kind, name)
            return {**VALUES, "workflow": name, "schedule": name, "id": self.runs.get(name, NOWHERE)}[converter]

        return re.sub(r"<([^:>]+):([^>]+)>", value, "/" + route)

    def state(self) -> list[Any]:
        """What must not change, of everything that is not mine."""
        others: list[Any] = []
        for model, columns in (
            (WorkflowRun, ("id", "state", "seq")),
            (ApprovalTask, ("id", "claimed_by", "outcome")),
            (RunBatch, ("id", "total", "finished_at")),
            (PendingStart, ("id", "count")),
        ):
            path = "filter__workflow" if model is RunBatch else "workflow"
            others += model.objects.exclude(**{path: MINE}).order_by("id").values_list(*columns)
        others += DeadLetter.objects.exclude(target=MINE).order_by("id").values_list("id", "resolution")
        theirs = Subscription.objects.exclude(source=source_of(MINE)).order_by("id")
        others += theirs.values_list("id", "url", "types", "enabled", "secret_version")
        others += Delivery.objects.filter(subscription__in=theirs).order_by("id").values_list("id", "state", "attempts")
        return others + [
            stored.history(name)[0].number for name in (THEIRS, NOBODYS) for stored in (schedules, triggers)
        ]
