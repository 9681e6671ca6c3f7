"""A PostgreSQL node dies under a client that writes all the time. Real Patroni, etcd, guards and HAProxy, real signals.

The leader key of a dead node lives 20 s: a node that takes writes sooner can do so because of the guards.
"""

import http.client
import secrets
import socket
import ssl
import time
import urllib.request
from contextlib import closing

import psutil
import psycopg2
import pytest

from benchmarks.failover import FAULTS, cut_off, running_trio, strike, writing
from benchmarks.uptime import cut
from erip.ops import ca
from erip.ops.ca import Authority, Leaf
from erip.ops.deploy.circles import PLATFORM
from erip.ops.deploy.identity import identity
from erip.ops.stack.ha.patroni import asked
from erip.ops.stack.ha.tls import parameters
from erip.ops.stack.processes import wait_until
from erip.ops.stack.state import read_json
from tests.support.programs import needs_ha_programs
from tests.support.tls import can_capture, capture, serial_of, serial_of_postgres

pytestmark = [needs_ha_programs, pytest.mark.timeout(600)]

LESS_THAN_THE_KEY_LIVES = 15.0


@pytest.fixture(scope="module")
def trio():
    with running_trio() as trio:
        yield trio


# --- TLS: first, as the faults leave the cluster in another order --------------------------------------------------

NODES = ("postgres-1", "postgres-2", "postgres-3")
PORTS = (*NODES, "postgres-rw", "postgres-ro")


def port(trio, name):
    return read_json(trio.state.ports)[name]


def tried(trio, where, **changed):
    """A superuser's login through this port with the platform's certificate, or with something else about TLS."""
    folder = trio.haproxy.tls
    given = {**parameters(identity(folder, PLATFORM)), **changed}
    password = read_json(trio.state.secrets)["postgres_superuser"]
    login = {"host": "127.0.0.1", "port": port(trio, where), "user": "postgres", "dbname": "postgres"}
    return psycopg2.connect(**login, password=password, connect_timeout=10, **given)


@pytest.mark.parametrize("where", PORTS)
def test_postgresql_answers_tls_13_and_holders_of_a_certificate_of_its_circle_alone(trio, where, tmp_path):
    assert wait_until(trio.whole, 90)
    tried(trio, where).close()
    foreign = Authority(tmp_path / "ca", "foreign").issue(tmp_path, Leaf("platform", PLATFORM, client=True))
    # Its own site, but the circle of those that may speak with etcd.
    of_etcd = trio.child("postgres-1").what.tls / "postgres-1.pem"
    none = str(tmp_path / "none")
    for refused, said in (
        ({"sslmode": "disable"}, "no encryption"),
        ({"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1.2"}, "protocol version"),
        ({"sslcert": none, "sslkey": none}, "requires a valid client certificate"),
        ({"sslcert": str(foreign.bundle), "sslkey": str(foreign.bundle)}, "unknown ca|decrypt error"),
        ({"sslcert": str(of_etcd), "sslkey": str(of_etcd)}, "unknown ca|decrypt error"),
        ({"sslrootcert": str(foreign.ca)}, "certificate verify failed"),
    ):
        with pytest.raises(psycopg2.OperationalError, match=said):
            tried(trio, where, **refused)


def test_every_session_is_encrypted_and_of_somebody_known(trio):
    assert wait_until(trio.whole, 90)
    with closing(tried(trio, "postgres-rw")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT backend_type, version, client_dn FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
            " WHERE client_addr IS NOT NULL"
        )
        found = cursor.fetchall()
    assert [one for one in found if one[1] != "TLSv1.3" or not one[2]] == []
    assert [one[0] for one in found].count("walsender") == 2


def asks(trio, where, **changed):
    """A GET at the REST API of this node with PULSE's certificate, or with something else about TLS: the status."""
    mine = trio.roles.patroni_identity
    given = {"ca": mine.ca, "certificate": mine.certificate, "most": ssl.TLSVersion.TLSv1_3, **changed}
    context = ssl.create_default_context(cafile=given["ca"])
    context.maximum_version = given["most"]
    if given["certificate"]:
        context.load_cert_chain(given["certificate"])
    with closing(http.client.HTTPSConnection("127.0.0.1", port(trio, f"{where}-rest"), context=context)) as connection:
        connection.request("GET", "/liveness")
        return connection.getresponse().status


@pytest.mark.parametrize("where", NODES)
def test_patroni_answers_tls_13_and_holders_of_a_certificate_of_its_circle_alone(trio, where, tmp_path):
    assert wait_until(trio.whole, 90)
    assert asks(trio, where) == 200
    foreign = Authority(tmp_path / "ca", "Patroni").issue(tmp_path, Leaf("watcher", "erip-pulse", client=True))
    of_postgres = identity(trio.haproxy.tls, PLATFORM)
    for refused, said in (
        ({"most": ssl.TLSVersion.TLSv1_2}, "(?i)protocol.version"),
        # The server's alert, or that it has closed before we said anything.
        ({"certificate": None}, "(?i)certificate.required|EOF|reset|pipe"),
        ({"certificate": foreign.bundle}, "(?i)unknown.ca|decrypt.error|EOF|reset|pipe"),
        ({"certificate": of_postgres.certificate}, "(?i)unknown.ca|decrypt.error|EOF|reset|pipe"),
        ({"ca": foreign.ca}, "certificate verify failed"),
    ):
        with pytest.raises(OSError, match=said):
            asks(trio, where, **refused)
    with pytest.raises(OSError, match=r"closed connection|reset"):
        urllib.request.urlopen(f"http://127.0.0.1:{port(trio, f'{where}-rest')}/liveness", timeout=10)


def test_certificates_are_replaced_under_load_and_no_write_fails(trio, monkeypatch):
    """As the supervisor does it."""
    assert wait_until(trio.whole, 90)
    mine = identity(trio.haproxy.tls, PLATFORM)

    def shown(name):
        return (
            serial_of_postgres(port(trio, name), ca=mine.ca, certificate=mine.certificate),
            serial_of(port(trio, f"{name}-rest"), trio.roles.patroni_identity),
        )

    def known_to_haproxy():
        said = trio.haproxy._command(f"show ssl cert {trio.haproxy.to_patroni.certificate}\n")
        return next(line for line in said.splitlines() if line.startswith("Serial:"))

    # All are soon over, compared with so long a life.
    monkeypatch.setattr(ca, "LEAF_DAYS", 300)
    pids = {child.name: child.process.pid for child in trio.children.all}
    with writing(trio) as writer:
        assert wait_until(lambda: writer.acknowledged, 30)
        before, of_haproxy = {name: shown(name) for name in NODES}, known_to_haproxy()
        trio.children.renew_now()
        for name in NODES:
            assert wait_until(
                lambda name=name: all(new != old for new, old in zip(shown(name), before[name], strict=True)), 30
            )
        assert known_to_haproxy() != of_haproxy
        moment = time.monotonic()
        tried(trio, "postgres-rw").close()
        assert wait_until(lambda: writer.has_written_since(moment), 30)
        assert len(trio.roles.postgres_voters()) == 2
    assert writer.failed == []
    assert writer.lost() == set()
    assert {child.name: child.process.pid for child in trio.children.all} == pids, "nothing was started again"


@pytest.mark.skipif(not can_capture(), reason="looking at the wire takes root, or CAP_NET_RAW")
def test_what_is_written_is_nowhere_on_the_wire(trio):
    assert wait_until(trio.whole, 90)
    mark = f"marked-{secrets.token_hex(16)}"
    plain = socket.create_server(("127.0.0.1", 0))
    known = read_json(trio.state.ports)
    watched = {number for name, number in known.items() if name.startswith(("postgres", "etcd"))}
    control = plain.getsockname()[1]
    with plain, capture({*watched, control}) as wire:
        with closing(psycopg2.connect(trio.haproxy.owner)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS marked (text text); SET synchronous_commit = remote_apply")
            cursor.execute("INSERT INTO marked SELECT %s FROM generate_series(1, 100) RETURNING text", [mark])
        with closing(psycopg2.connect(trio.haproxy.replicas)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        for name in NODES:
            assert asked(known[f"{name}-rest"], trio.roles.patroni_identity, f"/{mark}")[0] in (200, 404, 503)
        # The capture sees what is not encrypted.
        with socket.create_connection(plain.getsockname()) as client:
            client.sendall(mark.encode())
            assert wait_until(lambda: control in wire.holds(mark.encode()), 30)
        assert wait_until(lambda: {known[name] for name in ("postgres-rw", "postgres-ro")} <= wire.seen(), 30)
    assert wire.holds(mark.encode()) == {control}
    assert len(wire.seen() & {known[name] for name in NODES}) == 3, "the copies to the standbys went by too"
    assert {known[f"{name}-rest"] for name in NODES} <= wire.seen()


# --- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["Patroni and PostgreSQL killed", "Patroni and PostgreSQL frozen", "node and its guard killed"]
)
def test_writes_go_on_elsewhere_and_no_acknowledged_one_is_lost(trio, fault):
    # Given
    assert wait_until(trio.whole, 90)
    before = trio.roles.postgres_primary()
    with writing(trio) as writer:
        # When
        strike(trio, writer, FAULTS[fault], patience=LESS_THAN_THE_KEY_LIVES)
        # Then
        assert wait_until(lambda: trio.roles.postgres_primary() not in (None, before), 60)
        # the node that died comes back as a standby that counts
        assert wait_until(trio.whole, 90)
    assert len(writer.acknowledged) > 20
    assert writer.lost() == set()


@pytest.mark.skipif(not cut.possible(), reason="cutting a node off takes root, cgroup v2 and BPF")
def test_a_leader_that_is_cut_off_ends_before_the_network_is_back(trio):
    # Given
    assert wait_until(trio.whole, 90)
    before = trio.roles.postgres_primary()
    postmaster = trio.roles.postmaster(before)
    # When
    fault = cut_off(trio, before)
    try:
        # Then: Patroni by itself would let it go on for longer than this
        assert wait_until(lambda: not psutil.pid_exists(postmaster), 7)
        assert wait_until(lambda: trio.roles.postgres_primary() not in (None, before), 60)
    finally:
        fault.heal()
    assert wait_until(trio.whole, 90)
