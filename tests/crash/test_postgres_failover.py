"""A PostgreSQL node dies under a client that writes all the time. Real Patroni, etcd, guards and HAProxy, real signals.

The leader key of a dead node lives 20 s: a node that takes writes sooner can do so because of the guards.
"""

import secrets
import socket
import time
from contextlib import closing

import psutil
import psycopg2
import pytest

from benchmarks.failover import FAULTS, cut_off, running_trio, strike, writing
from benchmarks.uptime import cut
from erip.ops.ca import Authority, Leaf
from erip.ops.deploy.circles import PLATFORM
from erip.ops.deploy.nodes import identity
from erip.ops.stack.ha.tls import parameters
from erip.ops.stack.processes import wait_until
from erip.ops.stack.state import read_json
from tests.support.programs import needs_ha_programs
from tests.support.tls import can_capture, capture, serial_of_postgres

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


def test_certificates_are_replaced_under_load_and_no_write_fails(trio):
    assert wait_until(trio.whole, 90)
    mine = identity(trio.haproxy.tls, PLATFORM)

    def shown(name):
        return serial_of_postgres(port(trio, name), ca=mine.ca, certificate=mine.certificate)

    with writing(trio) as writer:
        assert wait_until(lambda: writer.acknowledged, 30)
        for name in NODES:
            node, before = trio.child(name).what, shown(name)
            (node.tls / "postgres" / f"{name}.pem").unlink()
            assert node.renew()
            assert wait_until(lambda name=name, before=before: shown(name) != before, 30)
        mine.certificate.unlink()
        trio.haproxy.renew()
        moment = time.monotonic()
        tried(trio, "postgres-rw").close()
        assert wait_until(lambda: writer.has_written_since(moment), 30)
        assert len(trio.roles.postgres_voters()) == 2
    assert writer.failed == []
    assert writer.lost() == set()


@pytest.mark.skipif(not can_capture(), reason="looking at the wire takes root, or CAP_NET_RAW")
def test_what_is_written_is_nowhere_on_the_wire(trio):
    assert wait_until(trio.whole, 90)
    mark = f"marked-{secrets.token_hex(16)}"
    plain = socket.create_server(("127.0.0.1", 0))
    known = read_json(trio.state.ports)
    watched = {number for name, number in known.items() if name.startswith(("postgres", "etcd")) and "rest" not in name}
    control = plain.getsockname()[1]
    with plain, capture({*watched, control}) as wire:
        with closing(psycopg2.connect(trio.haproxy.owner)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS marked (text text); SET synchronous_commit = remote_apply")
            cursor.execute("INSERT INTO marked SELECT %s FROM generate_series(1, 100) RETURNING text", [mark])
        with closing(psycopg2.connect(trio.haproxy.replicas)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        # The capture sees what is not encrypted.
        with socket.create_connection(plain.getsockname()) as client:
            client.sendall(mark.encode())
            assert wait_until(lambda: control in wire.holds(mark.encode()), 30)
        assert wait_until(lambda: {known[name] for name in ("postgres-rw", "postgres-ro")} <= wire.seen(), 30)
    assert wire.holds(mark.encode()) == {control}
    assert len(wire.seen() & {known[name] for name in NODES}) == 3, "the copies to the standbys went by too"


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
        assert wait_until(lambda: trio.roles.postgres_primary() not in (None, before), 10)
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
        assert wait_until(lambda: trio.roles.postgres_primary() not in (None, before), 15)
    finally:
        fault.heal()
    assert wait_until(trio.whole, 90)
