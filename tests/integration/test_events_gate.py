"""What limits incoming events: back-pressure and quotas; and what callers are answered while the database is away."""

import os
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from django.db import connection

from erip.access import keys
from erip.access.scopes import Scope
from tests.integration.test_events_api import journalled, send
from tests.support.api import Api, key
from tests.support.events import event
from workflows.core.cloudevents import BATCH
from workflows.events import ingest
from workflows.events.models import Block, Consumer, SourceQuota, SourceUsage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api() -> Api:
    keys.forget_cached()
    return Api(key(Scope.OPERATOR))


def test_past_what_can_be_served_in_time_events_are_refused_and_nothing_is_trimmed(
    api: Api, event_settings: Callable[..., None]
) -> None:
    event_settings(ERIP_EVENT_BOUND_SECONDS=10.0, ERIP_EVENT_MIN_RATE=10.0)
    first = send(api, [event() for _ in range(95)], BATCH)
    fits = send(api, [event() for _ in range(5)], BATCH)
    refused = send(api, [event() for _ in range(30)], BATCH)

    assert [answer.status_code for answer in (first, fits, refused)] == [202, 202, 429]
    assert refused["Retry-After"] == "3"
    assert refused.json()["code"] == "journal-full"
    assert journalled() == 100


def test_what_fast_consumers_can_serve_is_let_in_and_no_more_than_the_bounded_length(
    api: Api, event_settings: Callable[..., None]
) -> None:
    event_settings(ERIP_EVENT_MIN_RATE=10.0, ERIP_EVENT_MAX_BACKLOG=700)
    Consumer.objects.create(worker_id=1, rate=100.0)
    answers = [send(api, [event() for _ in range(300)], BATCH).status_code for _ in range(3)]
    assert answers == [202, 202, 429]


def test_a_source_over_its_quota_is_refused_by_name_and_the_others_are_not(api: Api) -> None:
    SourceQuota.objects.create(source="/scanner/*", rate=0.5, burst=10)
    SourceQuota.objects.create(source="/feeds/kev", daily=20)
    ingest.forget()

    def sending(count: int, source: str):
        return send(api, [event(source=source) for _ in range(count)] + [event(source="/free")], BATCH)

    assert sending(10, "/scanner/1").status_code == 202
    over = sending(2, "/scanner/1")
    assert over.status_code == 429
    assert '"/scanner/1"' in over.json()["detail"]
    assert "0.5 events a second" in over.json()["detail"]
    assert 1 <= int(over["Retry-After"]) <= 4
    assert sending(10, "/scanner/2").status_code == 202, "each source of a pattern has a quota of its own"

    assert sending(20, "/feeds/kev").status_code == 202
    daily = sending(1, "/feeds/kev")
    assert daily.status_code == 429
    assert "20 events a day" in daily.json()["detail"]
    assert SourceUsage.objects.get(source="/feeds/kev").sent == 20, "what is refused is not counted"
    assert journalled() == 11 + 11 + 21


def test_a_request_larger_than_the_burst_passes_when_nothing_was_sent_and_is_paid_off(api: Api) -> None:
    SourceQuota.objects.create(source="/big", rate=10.0, burst=5)
    ingest.forget()
    answers = [send(api, [event(source="/big") for _ in range(50)], BATCH).status_code for _ in range(2)]
    assert answers == [202, 429]
    assert SourceUsage.objects.get().tokens < -40


def test_while_the_database_is_away_the_answer_is_503_and_no_202(api: Api, event_settings: Callable[..., None]) -> None:
    event_settings(ERIP_EVENT_INGEST_SECONDS=0.3)
    assert send(api, [event()], BATCH).status_code == 202
    name = connection.settings_dict["NAME"]
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as outside, outside.cursor() as cursor:
        outside.autocommit = True
        # No new connections are allowed and all sessions are ended: so a lost server looks to its clients.
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND backend_type = 'client backend'",
            [name],
        )
        try:
            away = send(api, [event()], BATCH)
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            connection.close()
    back = send(api, [event()], BATCH)
    assert (away.status_code, away["Retry-After"], away.json()["code"]) == (503, "2", "database-unavailable")
    assert back.status_code == 202
    assert sum(Block.objects.values_list("events", flat=True)) == 2
