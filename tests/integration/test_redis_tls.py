"""Redis and Sentinel over TLS: who is refused, who is believed, and that renewed certificates cost nobody a message."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from erip.foundation.process.broker import publisher_options
from erip.foundation.process.broker_tls import client_of, tls_options
from erip.foundation.process.trust import context_of
from erip.ops import ca
from erip.ops.ca import Authority, Leaf
from erip.ops.deploy.circles import PLATFORM
from erip.ops.deploy.redis_users import LEADER, REPLICA, SENTINEL, WEB, WORKER
from erip.ops.stack import children
from erip.ops.stack.ha.redis import SERVICE
from erip.ops.stack.ha.tls import of_broker
from erip.ops.stack.ports import LOOPBACK
from erip.settings.declared import refused
from monitoring.conf import conf
from monitoring.core.components import State
from monitoring.probes import Unanswered
from monitoring.probes.redis import Broker, Sentinels
from tests.integration.test_redis_logins import app
from tests.support.tls import serial_of
from tests.support.watched_redis import ASKING, OPERATOR, PEERS, Watched, watched_redis
from tests.workers import until

PASSWORDS = {name: f"of-{name}" for name in (WEB, WORKER, LEADER, REPLICA, SENTINEL)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched_redis(tmp_path_factory.mktemp("redis"), PASSWORDS) as made:
        yield made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What somebody has who made an authority of the same name, and a certificate in the platform's name."""
    folder = tmp_path_factory.mktemp("foreign")
    issued = Authority(folder / "ca", "Redis").issue(folder, Leaf("platform", PLATFORM, client=True))
    return tls_options("", ca=str(issued.ca), certificate=str(issued.bundle)) or {}


class Older(redis.SSLConnection):
    """Speaks TLS 1.2 at the most."""

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.ca_certs)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certfile)
        return context.wrap_socket(sock, server_hostname=self.host)


def ping(tls: dict[str, Any] | None, port: int, password: str) -> bool:
    with client_of(tls, host=LOOPBACK, port=port, password=password, socket_timeout=5) as client:
        return bool(client.ping())


def test_each_port_answers_tls_13_and_holders_of_a_certificate_of_its_circle_alone(
    cluster: Watched, foreign: dict[str, Any]
) -> None:
    mine = of_broker(cluster.mine)
    ports = [(one.port, OPERATOR) for one in cluster.nodes] + [(one.port, ASKING) for one in cluster.watchers]
    assert len(ports) == 6
    for port, password in ports:
        assert ping(mine, port, password)
        for wrong in (
            None,
            {name: value for name, value in mine.items() if name not in ("ssl_certfile", "ssl_keyfile")},
            {**mine, "ssl_certfile": foreign["ssl_certfile"], "ssl_keyfile": foreign["ssl_keyfile"]},
        ):
            with pytest.raises(redis.ConnectionError):
                ping(wrong, port, password)
        # The server is not believed either, if another authority is asked.
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            ping({**mine, "ssl_ca_certs": foreign["ssl_ca_certs"]}, port, password)
        pool = redis.ConnectionPool(
            connection_class=Older, host=LOOPBACK, port=port, password=password, socket_timeout=5, **mine
        )
        with redis.Redis.from_pool(pool) as older, pytest.raises(redis.ConnectionError, match=r"(?i)protocol.version"):
            older.ping()


def test_a_server_that_is_reached_under_another_name_is_not_believed(cluster: Watched) -> None:
    with (
        client_of(of_broker(cluster.mine), host="localhost", port=cluster.nodes[0].port, password=OPERATOR) as client,
        pytest.raises(redis.ConnectionError, match="Hostname mismatch"),
    ):
        client.ping()


def test_pulse_looks_at_both_over_tls(cluster: Watched, foreign: dict[str, Any]) -> None:
    known = replace(
        conf(), broker=cluster.url("", OPERATOR), sentinel_password=ASKING, broker_tls=of_broker(cluster.mine)
    )
    assert Broker(known)().state is State.OK
    assert Sentinels(known)().state is State.OK
    for wrong in (None, foreign):
        with pytest.raises(Unanswered):
            Broker(replace(known, broker_tls=wrong))()
        with pytest.raises(Unanswered):
            Sentinels(replace(known, broker_tls=wrong))()


def without_failover(cluster: Watched) -> None:
    """On a busy machine a lag of two seconds is no fault of a certificate's."""
    tls = of_broker(cluster.mine)
    for watcher in cluster.watchers:
        with client_of(tls, host=LOOPBACK, port=watcher.port, username=SENTINEL, password=PEERS) as peer:
            peer.execute_command("SENTINEL", "SET", SERVICE, "down-after-milliseconds", "600000")
    for node in cluster.nodes:
        with client_of(tls, host=LOOPBACK, port=node.port, password=OPERATOR) as operator:
            operator.config_set("min-replicas-to-write", "0")


class Sender:
    """Sends messages, each over a new connection to the server that the Sentinels name: no old one hides a fault."""

    def __init__(self, cluster: Watched) -> None:
        self.sent, self.failed = 0, []
        url = cluster.url(WEB, PASSWORDS[WEB])
        patient = {"socket_timeout": 30, "socket_connect_timeout": 30}
        options = publisher_options(cluster.options(url))
        asking = {**options["sentinel_kwargs"], **patient}
        self._celery = lambda: app(url, {**options, **patient, "sentinel_kwargs": asking}, of_broker(cluster.mine))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def sends_more(self) -> None:
        count = self.sent
        until(lambda: self.sent > count + 10 or self.failed, seconds=60, what="messages are sent")

    def _work(self) -> None:
        while not self._over.wait(0.005):
            with self._celery() as celery:
                try:
                    celery.send_task("workflows.execute", kwargs={"run_ids": []}, queue="bulk", routing_key="bulk")
                    self.sent += 1
                except Exception as error:
                    self.failed.append(repr(error))


def test_certificates_are_renewed_under_load_and_no_message_fails(
    cluster: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the supervisor does it: Redis reads the new file, and of the Sentinels one at a time is started again."""
    without_failover(cluster)
    servers = [*cluster.nodes, *cluster.watchers]
    made = children.Children("test", lambda: None)
    for server in servers:
        made.add(server, server.log, 0).process = cluster.processes[server.name]

    def ended() -> list[Any]:
        return [one for one in cluster.watchers if cluster.processes[one.name].poll() is not None]

    before = {one.name: serial_of(one.port, cluster.mine) for one in servers}
    pids = {one.name: cluster.processes[one.name].pid for one in cluster.nodes}
    with Sender(cluster) as sender:
        sender.sends_more()
        # All are soon over, compared with so long a life.
        monkeypatch.setattr(ca, "LEAF_DAYS", 300)
        for _ in cluster.watchers:
            made.renew_now()
            until(ended, what="a Sentinel has ended")
            (watcher,) = ended()
            cluster.start(watcher)
            next(one for one in made.all if one.what is watcher).process = cluster.processes[watcher.name]
            until(lambda: all(one.ready() for one in cluster.watchers), seconds=60, what="the Sentinels are whole")
            sender.sends_more()
    assert sender.failed == []
    assert not {one.name for one in servers if serial_of(one.port, cluster.mine) == before[one.name]}
    assert {one.name: cluster.processes[one.name].pid for one in cluster.nodes} == pids
    with client_of(of_broker(cluster.mine), host=LOOPBACK, port=cluster.nodes[0].port, password=OPERATOR) as operator:
        assert operator.llen("bulk") == sender.sent


def test_a_context_is_kept_until_its_files_change(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "one")
    issued = authority.issue(tmp_path, Leaf("platform", "one", client=True))
    first = context_of(str(issued.ca), str(issued.bundle))
    assert context_of(str(issued.ca), str(issued.bundle)) is first
    issued.bundle.unlink()
    assert context_of(str(issued.ca), str(issued.bundle)) is first, "what cannot be read any more counts as it was"
    authority.issue(tmp_path, Leaf("platform", "one", client=True))
    assert context_of(str(issued.ca), str(issued.bundle)) is not first
    with pytest.raises(OSError, match="No such file"):
        context_of(str(issued.ca), str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ERIP_BROKER_CA": "{folder}/none"}, "no such file"),
        ({"ERIP_BROKER_CA": "{folder}/text"}, "no PEM file that can be used"),
        ({"ERIP_BROKER_URL": "rediss://x", "ERIP_BROKER_CERTIFICATE": "{folder}/text"}, "no PEM file that can be used"),
        ({"ERIP_BROKER_CERTIFICATE": "{folder}/text"}, "neither ERIP_BROKER_CA nor rediss://"),
        ({"ERIP_BROKER_CA": ""}, ""),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    (tmp_path / "text").write_text("no certificate")
    have = {"ERIP_BROKER_URL": "redis://x", **{name: value.format(folder=tmp_path) for name, value in changed.items()}}
    found = [what for name, what in refused(have) if name == "ERIP_BROKER_CERTIFICATE"]
    assert [said in what for what in found] == ([True] if said else [])
