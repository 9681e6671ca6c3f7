"""What living processes say that they read, and what is refused because of it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from erip.foundation.db.direct import SessionLock
from tests.definitions import publish
from tests.workers import until
from workflows import engine, errors, store
from workflows.conf import conf
from workflows.core import kinds
from workflows.leader import loop
from workflows.library.reference import load_reference_data
from workflows.library.shipping import files
from workflows.management import reference_definitions
from workflows.models import Leader, Worker
from workflows.store.leaders import Silences

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = "name: waits\nsteps: {hold: {wait: {for: 1h}}}"


@pytest.fixture
def leaders() -> Iterator[tuple[loop.Leader, loop.Leader]]:
    both = loop.Leader(), loop.Leader()
    try:
        yield both
    finally:
        for one in both:
            one._stand_down()


def test_the_one_that_leads_and_the_one_that_would_say_what_they_read(leaders: tuple[loop.Leader, loop.Leader]) -> None:
    for one in leaders:
        one._round()
    rows = list(Leader.objects.order_by("heartbeat_at"))
    assert [row.level for row in rows] == [kinds.level()] * 2
    publish(WAITS)
    [run] = engine.start_runs("waits", [engine.StartRequest({})], principal="t")
    # One of them is of an earlier release: first the one that leads, then the one that would.
    for number, row in enumerate(rows, start=2):
        Leader.objects.filter(pk=row.pk).update(level=1, pid=number)
        with pytest.raises(errors.NotYetReadable, match=rf"leader {number} on {row.host}\. Publish"):
            publish(WAITS.replace("1h", "2h"))
        for pause in (
            lambda: engine.pause_run(run.id, principal="t"),
            lambda: engine.pause_all("lane", "bulk", principal="t"),
        ):
            with pytest.raises(errors.NotYetPossible, match=f"leader {number}"):
                pause()
        publish("name: plain\nsteps: {say: {uses: sample.echo, with: {value: 1}}}")
        Leader.objects.filter(pk=row.pk).update(level=kinds.level())
    publish(WAITS.replace("1h", "2h"))


def test_an_input_that_came_with_a_level_is_not_published_beside_processes_below_it() -> None:
    """They would refuse the input, and its runs would fail: seen with compliance-assessment beside an older release."""
    worker = store.register_worker("old", "there", 1, ["standard"])
    asks = "name: asks\nsteps: {a: {uses: compass.assess_compliance, with: {start_clocks: false}}}"
    Worker.objects.filter(pk=worker).update(level=6)
    with pytest.raises(errors.NotYetReadable, match="worker old"):
        publish(asks)
    publish(asks.replace("start_clocks: false", "sector: energy"))
    Worker.objects.filter(pk=worker).update(level=7)
    publish(asks)


def test_the_same_content_again_is_no_publishing_and_is_refused_to_nobody() -> None:
    publish(WAITS)
    worker = store.register_worker("old", "there", 1, ["standard"])
    Worker.objects.filter(pk=worker).update(level=1)
    assert not engine.publish(None, WAITS, "yaml", author="test").created
    with pytest.raises(errors.NotYetReadable, match="worker old"):
        publish(WAITS.replace("1h", "2h"))


def test_a_worker_that_was_killed_counts_until_it_is_known_to_have_been_silent_for_a_lease() -> None:
    """After an outage of PostgreSQL all are silent, and those that live beat again a moment later."""
    worker = store.register_worker("old", "there", 1, ["standard"])
    Worker.objects.filter(pk=worker).update(level=1)
    silences = Silences()

    def below(at: float) -> list[str]:
        return store.living_below(2, lease=60, silences=silences, clock=lambda: at)

    assert below(1.0) == ["worker old"]
    assert [one.said for one in store.living(lease=60)] == ["worker old"]
    Worker.objects.filter(pk=worker).update(heartbeat_at=Now() - timedelta(seconds=61))
    assert store.anybody_silent(lease=60)
    # Nobody knows yet.
    assert below(100.0) == below(159.0) == ["worker old"]
    # It was away as PostgreSQL was, and beats again; and is silent once more.
    Worker.objects.filter(pk=worker).update(heartbeat_at=Now())
    assert below(161.0) == ["worker old"]
    assert not store.anybody_silent(lease=60)
    Worker.objects.filter(pk=worker).update(heartbeat_at=Now() - timedelta(seconds=70))
    assert below(200.0) == below(259.0) == ["worker old"]
    assert below(260.0) == []
    assert store.living_below(2, lease=60) == ["worker old"], "another process does not know"
    assert store.living(lease=60) == []
    # A leader has known the database for a lease.
    assert store.bury_silent_workers(lease=60) == ["old"]
    assert store.living_below(2, lease=60) == []


def test_reference_definitions_wait_for_nobody_who_is_dead(settings: object) -> None:
    load_reference_data()
    settings.ERIP_LEASE_SECONDS = 0.5
    conf.cache_clear()
    try:
        worker = store.register_worker("old", "there", 1, ["standard"])
        Worker.objects.filter(pk=worker).update(level=1, heartbeat_at=Now() - timedelta(seconds=61))
        published, not_yet = reference_definitions.bring_up_to_date()
    finally:
        conf.cache_clear()
    assert not_yet == {}
    assert {one.name for one in published} == set(files.definitions())


def test_a_leader_forgets_silent_ones_only_once_it_has_known_the_database_for_a_lease(
    leaders: tuple[loop.Leader, loop.Leader],
) -> None:
    old = "00000000-0000-4000-8000-000000000001"
    Leader.objects.create(pk=old, host="there", pid=1, level=1, session=0, heartbeat_at=Now() - timedelta(hours=1))
    one, _ = leaders
    one._say_what_it_reads(4711)
    assert Leader.objects.filter(pk=old).exists()
    until(lambda: one._say_what_it_reads(4711) or not Leader.objects.filter(pk=old).exists(), what="it is forgotten")


def test_one_that_was_killed_counts_for_a_lease_and_one_that_holds_the_lock_for_longer() -> None:
    lock = SessionLock(store.LEADER_LOCK)
    try:
        session = lock.connect()
        store.leader_lives("00000000-0000-4000-8000-000000000001", "here", 1, session=session, lease=60)
        store.leader_lives("00000000-0000-4000-8000-000000000002", "there", 2, session=0, lease=60)
        Leader.objects.update(level=1)
        assert store.living_below(2, lease=60) == ["leader 1 on here", "leader 2 on there"]
        assert store.living_below(2, lease=0) == []
        assert lock.acquire()
        assert store.living_below(2, lease=0) == ["leader 1 on here"]
        # The next one that says something clears away the silent ones.
        store.leader_lives("00000000-0000-4000-8000-000000000003", "third", 3, session=0, lease=0)
        assert set(Leader.objects.values_list("host", flat=True)) == {"here", "third"}
    finally:
        lock.release()


def test_one_that_says_nothing_is_seen_by_its_lock() -> None:
    lock, another = SessionLock(store.LEADER_LOCK), SessionLock(4711)
    try:
        assert another.acquire()
        assert store.living_below(2, lease=60) == []
        assert lock.acquire()
        assert store.living_below(2, lease=60) == ["the leader, which does not say what it reads"]
    finally:
        lock.release()
        another.release()


def test_one_that_ends_is_forgotten() -> None:
    leader = loop.Leader()
    leader._round()
    assert Leader.objects.count() == 1
    leader.stop()
    leader.run()
    assert not Leader.objects.exists()
