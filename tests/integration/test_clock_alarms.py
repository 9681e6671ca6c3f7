"""Legal clocks that warn, are missed and escalate: once each, by one leader, whatever is killed."""

import copy
import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction

from monitoring.legal_clocks import announce, follow
from monitoring.models import Page
from monitoring.reaching import put_channel
from tests.support.clocks import legal_clock, saved, unsaved
from workflows.clocks.changing import file
from workflows.clocks.climbing import climb
from workflows.clocks.models import LegalClock
from workflows.library import cache
from workflows.library.models import Obligation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def channel() -> None:
    put_channel("risk", {"kind": "mail", "address": "risk@example.org", "hears": "all"}, by="test")


def test_a_clock_warns_is_missed_and_escalates_once_each_and_a_filed_one_does_not() -> None:
    now = datetime.now(UTC)
    soon = legal_clock(now - timedelta(hours=71))
    missed = legal_clock(now - timedelta(hours=72, seconds=5))
    later = legal_clock(now - timedelta(hours=2))
    filed = legal_clock(now - timedelta(hours=80))
    file(filed.run_id, filed.pk, by="user:ada", reference="A")
    with transaction.atomic():
        climbed = climb()
    assert {(one.id, one.rung) for one in climbed} == {(soon.pk, "warn"), (missed.pk, "breach")}
    with transaction.atomic():
        assert climb() == []
    rungs = dict(LegalClock.objects.values_list("pk", "next_rung_at"))
    assert rungs[soon.pk] == LegalClock.objects.get(pk=soon.pk).due_at
    # An hour after the breach was taken, not after it should have been.
    assert rungs[missed.pk] > now + timedelta(hours=1)
    assert rungs[later.pk] > now
    seen = []
    for _ in range(5):
        LegalClock.objects.filter(pk=missed.pk).update(next_rung_at=now)
        with transaction.atomic():
            seen += [(one.rung, one.number) for one in climb()]
        if LegalClock.objects.get(pk=missed.pk).next_rung_at is None:
            break
    assert seen == [("escalate", 2), ("escalate", 3), ("escalate", 4)]


def test_what_is_taken_by_a_leader_that_is_killed_is_taken_by_the_next_and_by_one_only() -> None:
    now = datetime.now(UTC)
    saved([unsaved(now - timedelta(hours=73, seconds=n)) for n in range(300)])
    with transaction.atomic():
        assert len(climb()) == 300
        # Killed between taking and sending.
        transaction.set_rollback(True)
    found: list[int] = []
    barrier = threading.Barrier(4)

    def lead() -> None:
        barrier.wait()
        for _ in range(6):
            with transaction.atomic():
                found.extend(one.id for one in climb(60))
        connections.close_all()

    threads = [threading.Thread(target=lead) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction.atomic():
        found.extend(one.id for one in climb())  # what two leaders passed over since the other held it
    assert len(found) == len(set(found)) == 300


def test_many_open_clocks_cost_a_look_at_those_that_are_due() -> None:
    now = datetime.now(UTC)
    one = unsaved(now)
    many = []
    for _ in range(2_000):
        many.append(copy.copy(one))
        many[-1].case = copy.copy(one.case)
        many[-1].case.pk, many[-1].case.run_id = uuid4(), uuid4()
        many[-1].case = many[-1].case
    saved(many)
    legal_clock(now - timedelta(hours=73))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE clocks_legalclock")
        cursor.execute(
            "EXPLAIN SELECT id FROM clocks_legalclock WHERE next_rung_at <= clock_timestamp() ORDER BY next_rung_at"
            " LIMIT 9"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "legal_clock_rung" in plan
    with transaction.atomic():
        assert len(climb()) == 1


def test_a_leader_sends_one_message_for_all_that_reached_a_rung(channel: None) -> None:
    now = datetime.now(UTC)
    for hours in (80, 90, 100):
        legal_clock(now - timedelta(hours=hours), verified=False)
    announce()
    page = Page.objects.get()
    assert page.target == "channel:risk"
    assert page.body["severity"] == "page"
    assert page.body["title"].startswith("Missed: GDPR, Notify the authority, by ")
    assert len(page.body["alerts"]) == 3
    assert "not verified" in page.body["alerts"][0]["summary"]
    announce()
    assert Page.objects.count() == 1


def test_a_change_of_the_law_is_announced_with_the_cases_that_it_changed(channel: None) -> None:
    clock = legal_clock(datetime.now(UTC) - timedelta(hours=1))
    clock.case.facts = {"jurisdictions": ["DE"], "detected_at": clock.facts["moments"]["detected"]}
    clock.case.save()
    Obligation.objects.create(
        code="gdpr-33",
        regime="GDPR",
        title="Notify",
        authority="The authority",
        citation="Art. 33",
        wording="48 hours",
        source_url="https://example.org/law",
        clocks=[{"trigger": "detected", "amount": 48, "unit": "hours"}],
        jurisdictions=["DE"],
    )
    cache.forget()
    follow.do()
    page = Page.objects.get()
    assert page.body["title"] == "The law has changed (gdpr-33): 1 open cases have other legal clocks"
    assert page.body["alerts"][0]["labels"]["run"] == str(clock.run_id)
    assert "moved" in page.body["alerts"][0]["summary"]
    follow.do()
    assert Page.objects.count() == 1
