"""Reads from replicas, with real standbys: nobody reads what is older than their own writes."""

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from erip.foundation.db import consistency, metrics
from erip.foundation.db.consistency import NOTHING, PRIMARY, scope, token_after_writing
from erip.foundation.db.middleware import Consistency
from erip.foundation.db.replicas import fleet
from erip.foundation.db.requests import HEADER, MARK
from erip.foundation.db.router import Router, reading_alias, reads_from_replica
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import standby_of
from tests.support.databases import in_place_of_ours
from tests.support.processes import freeze, thaw
from tests.workers import until


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    with private_servers(redis=False, fsync=False) as (server, _):
        with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE note (id int PRIMARY KEY, value int); INSERT INTO note VALUES (1, 0)")
            connection.commit()
        yield server


@pytest.fixture(scope="module")
def near(primary: Server) -> Iterator[Server]:
    with standby_of(primary) as server:
        yield server


@pytest.fixture(scope="module")
def late(primary: Server) -> Iterator[Server]:
    with standby_of(primary, apply_delay="5s") as server:
        yield server


@pytest.fixture
def both(primary: Server, near: Server, late: Server, django_db_blocker: object) -> Iterator[None]:
    replicas = {"near": near.url, "late": late.url}
    with django_db_blocker.unblock(), in_place_of_ours(primary=primary.url, replicas=replicas):
        until(lambda: set(fleet.in_rotation()) == {"near", "late"}, what="both are in rotation")
        yield


def write(value: int, key: int = 1) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO note VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET value = excluded.value", [key, value]
        )


@reads_from_replica
def read(key: int = 1) -> tuple[int | None, str]:
    """The value, and who served it."""
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute("SELECT value FROM note WHERE id = %s", [key])
        row = cursor.fetchone()
    return row[0] if row else None, reading_alias()


def a_write_of_its_own(value: int, key: int = 1) -> str:
    """As a request does it; returns the token that it answers."""
    with scope(NOTHING):
        write(value, key)
        return token_after_writing()


def test_a_caller_who_has_seen_nothing_is_served_by_a_replica_and_all_take_turns(both: None) -> None:
    served = set()
    for _ in range(4):
        with scope(NOTHING):
            served.add(read()[1])
    assert served == {"near", "late"}


def test_a_caller_who_does_not_say_what_it_has_seen_is_served_by_the_primary(both: None) -> None:
    with scope(None):
        assert read()[1] == "default"
    assert read()[1] == "default", "outside of any request or task as well"


def test_a_scope_that_wrote_reads_from_the_primary(both: None) -> None:
    with scope(NOTHING):
        assert read()[1] != "default"
        write(41)
        assert read() == (41, "default")


def test_a_transaction_reads_from_the_primary(both: None) -> None:
    with scope(NOTHING), transaction.atomic():
        assert read()[1] == "default"


def test_the_replica_that_is_behind_is_passed_over_and_serves_once_it_has_caught_up(both: None) -> None:
    token = a_write_of_its_own(7)

    def served() -> set[str]:
        found = set()
        for _ in range(2):
            with scope(token):
                value, by = read()
            assert value == 7
            found.add(by)
        return found

    until(lambda: served() == {"near"}, seconds=4, what="the near one serves, the late one not yet")
    until(lambda: served() == {"near", "late"}, seconds=60, what="the late one has caught up")


def test_a_race_of_writers_never_reads_what_is_older_than_its_own_write(both: None) -> None:
    # Given eight callers, each with a row of its own, who take turns to write and read, with one replica 5 s behind
    rounds, failures, served = 60, [], []
    barrier = threading.Barrier(8)

    def call(key: int) -> None:
        try:
            barrier.wait(10)
            token = NOTHING
            for value in range(rounds):
                if value % 3 != 2:
                    token = a_write_of_its_own(value, key)
                    written = value
                with scope(token):
                    found, by = read(key)
                served.append(by)
                if found != written:
                    failures.append((key, written, found, by))
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call, args=(100 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # Then no read was stale, and replicas did serve
    assert failures == []
    assert len(served) == 8 * rounds
    assert "near" in served


def test_without_tokens_the_same_reads_are_stale(both: None) -> None:
    """Shows that the race above can fail: without the token, reads are stale."""
    stale = 0
    for value in range(20):
        a_write_of_its_own(1000 + value, key=500)
        with scope(NOTHING):
            stale += read(500)[0] != 1000 + value
    assert stale > 0


def test_a_replica_that_is_killed_leaves_and_comes_back(both: None, near: Server) -> None:
    near.kill()
    # Reads go on without an error from the first moment, and the killed one leaves the rotation
    for _ in range(6):
        with scope(NOTHING):
            assert read()[1] != "near"
    until(lambda: fleet.in_rotation() == ["late"], what="it has left the rotation")
    near.start()
    until(lambda: "near" in fleet.in_rotation(), what="it has come back")


def test_a_frozen_replica_leaves_and_comes_back(both: None, near: Server) -> None:
    freeze(near)
    try:
        until(lambda: fleet.in_rotation() == ["late"], seconds=60, what="it has left the rotation")
        with scope(NOTHING):
            assert read()[1] == "late"
    finally:
        thaw(near)
    until(lambda: "near" in fleet.in_rotation(), seconds=60, what="it has come back")


def test_a_read_that_hangs_on_a_replica_is_cut_and_served_by_another(both: None, near: Server) -> None:
    # Given a connection to the replica that was used a moment ago, and is trusted
    for _ in range(4):
        with scope(NOTHING):
            read()
    freeze(near)
    try:
        for _ in range(2):
            with scope(NOTHING):
                assert read()[1] != "near"
    finally:
        thaw(near)
    until(lambda: "near" in fleet.in_rotation(), seconds=60, what="it has come back")


def test_without_a_primary_a_replica_that_is_behind_serves_and_the_answer_says_so(
    both: None, primary: Server, near: Server, late: Server
) -> None:
    # Given a primary that is gone before the late replica has the caller's write, and no other replica
    token = a_write_of_its_own(77, key=900)
    near.kill()
    primary.kill()
    before = metrics.READS.labels("stale replica")._value.get()
    try:
        # When the caller reads
        request = RequestFactory().get("/", headers={HEADER: token})
        found = []
        response = Consistency(lambda _: found.append(read(900)) or HttpResponse())(request)
        # Then it is served, and the answer says that it may be old
        assert found == [(None, "late")]
        assert response.headers[MARK] == "stale"
        assert metrics.READS.labels("stale replica")._value.get() == before + 1
    finally:
        primary.start()
        near.start()
    until(lambda: set(fleet.in_rotation()) == {"near", "late"}, seconds=30, what="all are back")


def test_an_answer_to_a_write_carries_the_token_and_the_browsers_cookie(both: None) -> None:
    def view(_: object) -> HttpResponse:
        write(5)
        return HttpResponse()

    request = RequestFactory().post("/")
    request.COOKIES["sessionid"] = "x"
    response = Consistency(view)(request)
    token = response.headers[HEADER]
    assert consistency.is_token(token)
    assert response.cookies["erip_consistency"].value == token
    assert response.cookies["erip_consistency"]["httponly"]


def test_an_answer_to_a_read_carries_none(both: None) -> None:
    response = Consistency(lambda _: read() and HttpResponse())(RequestFactory().get("/", headers={HEADER: NOTHING}))
    assert HEADER not in response.headers


def test_a_browser_reads_what_it_has_written_by_its_cookie(both: None) -> None:
    token = a_write_of_its_own(88)
    request = RequestFactory().get("/")
    request.COOKIES |= {"sessionid": "x", "erip_consistency": token}
    found = []
    Consistency(lambda _: found.append(read()) or HttpResponse())(request)
    assert found[0][0] == 88


@pytest.mark.parametrize("text", ["", "1", "0/", "x/y", "0/123456789", "0/0; DROP TABLE note", "PRIMARY", "0/0\n"])
def test_a_token_that_is_none_is_refused_with_its_name(both: None, text: str) -> None:
    request = RequestFactory().get("/")
    request.META[f"HTTP_{HEADER.upper().replace('-', '_')}"] = text
    response = Consistency(lambda _: HttpResponse())(request)
    assert response.status_code == 400
    assert HEADER in response.content.decode()


def test_where_the_position_cannot_be_learnt_the_caller_stays_with_the_primary(
    both: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a connection that is ended between the commit and the question
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    with closing(psycopg2.connect(_url())) as other:
        other.autocommit = True
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    token = token_after_writing()
    assert token == PRIMARY
    connections["default"].close()
    with scope(token):
        assert read()[1] == "default"


def test_a_replica_that_has_lost_its_primary_is_out_of_rotation_though_it_has_no_lag(
    both: None, primary: Server
) -> None:
    primary.kill()
    try:
        until(lambda: fleet.in_rotation() == [], seconds=60, what="neither streams")
        assert set(fleet.reachable()) == {"near", "late"}
    finally:
        primary.start()
    until(lambda: set(fleet.in_rotation()) == {"near", "late"}, seconds=30, what="both stream again")


def test_an_idle_primary_makes_no_replica_lag(both: None, settings: object) -> None:
    settings.ERIP_REPLICA_MAX_LAG = 0.01
    looks: list[float] = []

    def near_is_in() -> bool:
        looks.append(1)
        assert "near" in fleet.in_rotation()
        return len(looks) > 100  # two seconds: the fleet checks twice

    write(1)
    until(lambda: fleet._all()[0].state.lag == 0 and "near" in fleet.in_rotation(), what="the write is replayed")
    until(near_is_in)


def test_writes_and_migrations_never_go_to_a_replica(both: None) -> None:
    router = Router()
    assert router.db_for_write(object) == "default"
    assert router.allow_migrate("near", "workflows") is False
    assert router.allow_migrate("default", "workflows") is None


def _url() -> str:
    described = connections["default"].settings_dict
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**described)
