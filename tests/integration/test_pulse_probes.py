"""PULSE's probes on real servers that are killed, frozen and failed over."""

import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from django.db import connection

from erip.foundation.db.direct import connect
from erip.ops.stack.ports import LOOPBACK, any_free
from erip.ops.stack.servers import private_servers
from monitoring.conf import Conf, conf
from monitoring.core.catalog import MEANINGS
from monitoring.core.components import State
from monitoring.core.series import parse
from monitoring.probes import Finding, Unanswered
from monitoring.probes.etcd import Etcd
from monitoring.probes.haproxy import HaProxy
from monitoring.probes.haproxy import ask as command
from monitoring.probes.postgres import Postgres
from monitoring.probes.redis import Broker, Sentinels
from tests.integration.test_balancer import Server, balanced
from tests.support import sentinels
from tests.support.databases import in_place_of_ours
from tests.support.processes import freeze, thaw
from tests.support.programs import needs
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def settings_are_read_again() -> None:
    conf.cache_clear()


def changed(**values: object) -> Conf:
    return replace(conf(), **values)  # type: ignore[arg-type]


def measured(found: Finding) -> set[str]:
    names = {parse(name).metric for name in found.measures}
    assert names <= MEANINGS.keys(), "what is measured is in the reference"
    return names


def test_postgresql_reports_what_it_does_and_is_told_from_another_start() -> None:
    with private_servers(redis=False, fsync=False) as (server, _):
        assert server is not None
        with in_place_of_ours(primary=server.url):
            ask = Postgres()
            first = ask()
            assert first.state is State.OK
            assert measured(first) >= {
                "erip_postgresql_connections",
                "erip_postgresql_connections_limit",
                "erip_postgresql_commits_total",
                "erip_postgresql_wal_bytes_total",
                "erip_postgresql_transaction_id_age",
                "erip_postgresql_locks_waiting",
            }
            assert first.identity == ask().identity

            freeze(server)
            with pytest.raises(Unanswered, match="gave no answer within 2 s"):
                ask()
            thaw(server)
            until(lambda: ask().state is State.OK)

            server.kill()
            with pytest.raises(Unanswered, match="does not answer"):
                ask()
            server.start()
            assert ask().identity != first.identity, "a restart that nobody saw shows in its identity"


def test_a_lock_that_others_wait_for_is_counted() -> None:
    def counted() -> float:
        return Postgres()().measures["erip_postgresql_locks_waiting"]

    # Tests of other processes use the same server.
    until(lambda: counted() == 0, what="nobody waits")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(77)")
        try:
            other = connect()
            waiting = other.get_backend_pid()

            def wait() -> None:
                with other.cursor() as blocked:
                    blocked.execute("SELECT pg_advisory_lock(77)")

            thread = threading.Thread(target=wait, daemon=True)
            thread.start()
            until(lambda: counted() >= 1, what=f"{waiting} waits")
        finally:
            cursor.execute("SELECT pg_advisory_unlock(77)")
        thread.join(10)
        other.close()


def test_redis_is_asked_with_its_password_and_a_full_one_is_seen() -> None:
    with private_servers(postgres=False) as (_, server):
        assert server is not None
        ask = Broker(changed(broker=server.url))
        first = ask()
        assert first.state is State.OK
        assert "@" not in first.sentence, "no password in what is shown"
        assert "erip_redis_memory_bytes" in measured(first)
        assert first.measures["erip_redis_flushes_total"] == 0

        with redis.Redis.from_url(server.url) as client:
            client.flushall()
            assert ask().measures["erip_redis_flushes_total"] == 1
            client.config_set("maxmemory", int(first.measures["erip_redis_memory_bytes"]))
            assert ask().state is State.DEGRADED

        with pytest.raises(Unanswered, match=r"refuses the login|refuses to report"):
            Broker(changed(broker=_wrong(server.url)))()
        server.kill()
        with pytest.raises(Unanswered, match="does not answer"):
            ask()


def _wrong(url: str) -> str:
    """The same address with another password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://:wrong@{rest.rpartition('@')[2]}"


@needs("redis-server", "redis-sentinel")
def test_a_failover_shows_as_another_redis_and_a_lost_sentinel_degrades(tmp_path: Path) -> None:
    with sentinels.cluster(tmp_path) as cluster:
        known = changed(
            broker=cluster.url, sentinel_master=sentinels.MASTER, sentinel_password=sentinels.SENTINEL_PASSWORD
        )
        broker, watchers = Broker(known), Sentinels(known)
        before = broker()
        assert before.state is State.OK
        until(lambda: watchers().state is State.OK)
        assert measured(watchers()) == {"erip_sentinel_answering"}

        cluster.sentinels[0].kill()
        said = watchers()
        assert said.state is State.DEGRADED
        assert str(cluster.sentinels[0].port) in said.sentence

        cluster.master().kill()

        def another() -> bool:
            try:
                return broker().identity != before.identity
            except Unanswered:
                return False

        until(another, what="the probe follows the Sentinels to the new master")

        for sentinel in cluster.sentinels:
            sentinel.kill()
        with pytest.raises(Unanswered, match="none of 3 Sentinels answers"):
            watchers()
        with pytest.raises(Unanswered, match="no Sentinel says"):
            broker()


@needs("haproxy")
def test_haproxy_says_which_servers_are_up(tmp_path: Path) -> None:
    servers = [Server(), Server()]
    stats = str(tmp_path / "stats.sock")
    with balanced(tmp_path, servers, stats=stats):
        ask = HaProxy(stats)
        # There is no PostgreSQL behind this one, as its checks find out.
        until(lambda: ask().state is State.DOWN)
        found = ask()
        assert "postgres_primary" in found.sentence
        assert "erip_haproxy_requests_total" in measured(found)
        assert found.measures['erip_haproxy_servers_up{backend="web"}'] == 2
        servers[0].close()
        until(lambda: ask().measures['erip_haproxy_servers_up{backend="web"}'] == 1)
        servers[1].close()
        until(lambda: "up for web, " in ask().sentence)
        # It answers questions and takes no commands.
        assert "denied" in command(stats, "disable server web/web-1\n").lower()
    with pytest.raises(Unanswered):
        ask()


@needs("etcd")
def test_etcd_says_whether_a_majority_can_write(tmp_path: Path) -> None:
    port, peer = any_free(), any_free()
    url = f"http://{LOOPBACK}:{port}"
    nobody = f"http://{LOOPBACK}:{any_free()}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["etcd", "--data-dir", str(tmp_path / "data"), "--listen-client-urls", url, "--advertise-client-urls", url,
             "--listen-peer-urls", f"http://{LOOPBACK}:{peer}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:

        def state(*urls: str) -> State | None:
            try:
                return Etcd(changed(etcd=urls))().state
            except Unanswered:
                return None

        until(lambda: state(url) is State.OK, what="etcd is healthy")
        assert state(url, url, nobody) is State.DEGRADED
        assert state(url, nobody) is State.DOWN, "one of two is no majority"
        assert state(nobody) is None
    finally:
        process.kill()
        process.wait(10)
