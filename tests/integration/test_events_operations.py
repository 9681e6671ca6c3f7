"""What people do with the event bus: status, replays, dead letters, the admin; and what the leader does."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from erip.access import keys
from erip.access.scopes import Scope
from erip.foundation.hooks import event_effect
from tests.support.api import Api, key
from tests.support.events import Recorder, accept, consuming, event
from tests.workers import until
from workflows.events.janitor import tidy_log
from workflows.events.models import Block, DeadLetter, Event, Identity, SourceQuota, TriggeredRun
from workflows.events.store import months

pytestmark = pytest.mark.django_db(transaction=True)


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("events", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """An effect that replays can be addressed to."""
    made = Recorder()
    with event_effect.only(made):
        yield made


@pytest.fixture
def api() -> Api:
    keys.forget_cached()
    return Api(key(Scope.OPERATOR))


def letter(**values: Any) -> DeadLetter:
    one = event()
    return DeadLetter.objects.create(
        **{
            "partition": 1,
            "type": one["type"],
            "source": one["source"],
            "event_id": one["id"],
            "event": orjson.dumps(one).decode(),
            "effect": "log",
            "code": "x",
            "message": "y",
            **values,
        }
    )


def test_the_status_tells_lag_owner_and_rate_of_each_partition(api: Api) -> None:
    with consuming(Recorder()):
        accept([event(subject=f"asset-{n}") for n in range(300)])
        until(lambda: Event.objects.count() == 300)
        status = api.get("/events/status").json()
    accept([event() for _ in range(7)])
    after = orjson.loads(command("status", "--json"))

    assert len(status["partitions"]) == 16
    assert {one["owner"] for one in status["partitions"]} == {"test"}
    assert status["rate"] > 0
    assert [one["alive"] for one in status["consumers"]] == [True]
    assert (after["lag"], after["consumers"]) == (7, [])
    assert max(one["oldest_seconds"] or 0 for one in after["partitions"]) > 0
    assert "7 events wait" in command("status")


def test_a_replay_says_first_what_it_would_do_and_then_does_it_for_its_target_alone(
    api: Api, recorder: Recorder
) -> None:
    other = Recorder()
    other.name = "other"
    with consuming(recorder, other):
        accept([event(id=f"{n}", type="a.b" if n < 30 else "c.d") for n in range(40)])
        until(lambda: Event.objects.count() == 40)
        preview = api.post("/events/replay", {"target": "recorder", "type": "a.b"})
        assert preview.status_code == 200
        assert preview.json() == {"target": "recorder", "dry_run": True, "events": 30, "effects": {"recorder": 30}}
        assert len(recorder.committed) == 40
        real = api.post("/events/replay", {"target": "recorder:part", "type": "a.b", "dry_run": False})
        assert (real.status_code, real.json()["events"]) == (202, 30)
        until(lambda: len(recorder.committed) == 70)
        until(lambda: not Block.objects.exists())
    assert recorder.committed[40:] == [str(n) for n in range(30)]
    assert len(other.committed) == 40
    assert Event.objects.count() == 40
    assert [one.replay for one in recorder.rounds[-1]] == ["recorder:part"] * len(recorder.rounds[-1])
    assert api.post("/events/replay", {"target": "nobody"}).status_code == 422
    assert api.post("/events/replay", {"type": "a.b"}).status_code == 422
    assert "40 events would be replayed" in command("replay", "recorder")
    with pytest.raises(CommandError, match="nobody"):
        command("replay", "nobody")


def test_dead_letters_are_listed_retried_and_discarded(api: Api) -> None:
    first, second = letter(), letter()
    listed = api.get("/events/dead-letters").json()["items"]
    assert [one["id"] for one in listed] == [second.pk, first.pk]
    assert api.post(f"/events/dead-letters/{first.pk}/retry").json()["status"] == "retried"
    assert command("discard", str(second.pk)) == "1 discarded.\n"
    assert api.post(f"/events/dead-letters/{first.pk}/discard").status_code == 409
    assert api.post("/events/dead-letters/999/discard").status_code == 404
    assert api.get("/events/dead-letters").json()["items"] == []
    assert len(api.get("/events/dead-letters", status="any").json()["items"]) == 2
    with consuming(Recorder()):
        until(lambda: Event.objects.count() == 1)
    assert Event.objects.get().event_id == first.event_id, "what could not be logged is logged by the retry"


def test_the_admin_shows_it_all_and_resolves_dead_letters() -> None:
    User.objects.create_superuser("boss", password="x" * 16)
    client = Client()
    client.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    with consuming(Recorder()):
        accept([event(id="shown")])
        until(lambda: Event.objects.count() == 1)
    row = Event.objects.get()
    dead = letter()
    SourceQuota.objects.create(source="/x", rate=1)
    for page in ("logentry", "partition", "deadletter", "sourcequota", "sourceusage", "consumer"):
        answer = client.get(f"/admin/events/{page}/")
        assert answer.status_code == 200, page
    assert b"shown" in client.get(f"/admin/events/logentry/{row.partition}-{row.position}/change/").content
    assert b"shown" in client.get("/admin/events/logentry/?q=nexus.threat.detected").content
    assert client.get(f"/admin/events/deadletter/{dead.pk}/change/").status_code == 200
    client.post("/admin/events/deadletter/", {"action": "discard", "_selected_action": [dead.pk]})
    dead.refresh_from_db()
    assert (dead.resolution, dead.resolved_by) == ("discarded", "user:boss")
    refused = client.post("/admin/events/sourcequota/add/", {"source": "/y"})
    assert b"Say how many events a second" in refused.content


def test_the_leader_makes_months_ahead_forgets_old_identities_and_drops_old_months_only_if_told_to(
    event_settings: Any,
) -> None:
    old, new = event(id="old"), event(id="new")
    with consuming(Recorder()):
        accept([old, new])
        until(lambda: Event.objects.count() == 2)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE events_identity SET logged_at = now() - interval '31 days' "
            "WHERE digest = (SELECT digest FROM events_identity ORDER BY digest LIMIT 1)"
        )
    months.ensure_month(datetime(2020, 1, 1, tzinfo=UTC))
    for at in (datetime(2020, 1, 31, tzinfo=UTC), datetime.now(UTC)):
        TriggeredRun.objects.create(
            event=uuid4(), rule=uuid4(), trigger="t", run_id=uuid4(), partition=1, position=1, logged_at=at
        )
    tidy_log.do()
    assert TriggeredRun.objects.count() == 2
    assert Identity.objects.count() == 1
    assert "2020_01" in partitions()
    assert len(partitions()) >= 4, "this month and two ahead"
    event_settings(ERIP_KEEP_EVENT_MONTHS=1)
    tidy_log.do()
    assert "2020_01" not in partitions()
    assert TriggeredRun.objects.get().logged_at.year > 2020, "what its events started is forgotten with them"
    assert Event.objects.count() == 2


def partitions() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events_event'::regclass")
        return [row[0].removeprefix("events_event_") for row in cursor.fetchall()]
