"""Who may speak to etcd, what a certificate permits, and what happens when the store is full.

Three real etcds behind their doors, with Patroni and PostgreSQL; no platform.
"""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from benchmarks.failover import FAULTS, running_trio, strike, writing
from erip.ops.deploy.circles import CLIENTS, PEERS
from erip.ops.guard.etcd import Etcd, EtcdError, Tls
from erip.ops.guard.replace import Refused
from erip.ops.guard.replace import replace as replace_member
from erip.ops.stack.ha.layout import THREE
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.processes import wait_until
from erip.ops.stack.state import read_json
from monitoring.conf import conf
from monitoring.core.components import State
from monitoring.probes.etcd import Etcd as Watching
from tests.support.programs import needs_ha_programs

pytestmark = [needs_ha_programs, pytest.mark.timeout(600)]

REQUESTS = 20
QUOTA = 16 * 1024 * 1024
#: seconds on a machine that is busy with other tests
HEALED_WITHIN = 120.0
OUTSIDE = (
    "/v3/maintenance/alarm",
    "/v3/kv/../maintenance/alarm",
    "/v3/kv/%2e%2e/maintenance/alarm",
    "/v3/kv/range/../../maintenance/alarm",
    "//v3/maintenance/alarm",
    "/v3/maintenance/alarm/",
    "/V3/maintenance/alarm",
    "/v3/kv/range?/v3/maintenance/alarm",
    "/v3/kv/range;/../maintenance/alarm",
    "/v3/kv/compaction",
    "/v3/maintenance/defragment",
    "/v3/maintenance/snapshot",
    "/v3/cluster/member/add",
    "/v3/cluster/member/remove",
    "/v3/auth/disable",
    "/v3/auth/user/add",
    "/v3beta/maintenance/alarm",
    "/etcdserverpb.Maintenance/Alarm",
    "/v2/keys/",
    "/metrics",
    "/debug/pprof/",
)


@pytest.fixture(scope="module")
def trio():
    os.environ["ERIP_ETCD_QUOTA_BYTES"] = str(QUOTA)
    try:
        with running_trio() as trio:
            yield trio
    finally:
        del os.environ["ERIP_ETCD_QUOTA_BYTES"]


@pytest.fixture
def whole(trio):
    assert wait_until(trio.whole, 90)
    return trio


def home(trio):
    return trio.roles.etcd_socket(1).parents[1]


def holder(trio):
    """The TLS files that Patroni and the guard of a database node use."""
    bundle = home(trio) / "postgres-1" / "tls" / "postgres-1.pem"
    return Tls(bundle.with_name("ca.crt"), bundle, bundle)


def port(trio, name):
    return read_json(trio.state.ports)[name]


def root(trio, n=1):
    return Etcd([trio.roles.etcd_socket(n)], "root", read_json(trio.state.secrets)["etcd"], timeout=5.0)


def says(port_, context, path="/version", method="GET", body=None):
    """The status that a server on `port_` answers with. Raises OSError or HTTPException when it does not."""
    if context is None:
        connection = http.client.HTTPConnection(LOOPBACK, port_, timeout=3)
    else:
        connection = http.client.HTTPSConnection(LOOPBACK, port_, timeout=3, context=context)
    with closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status


def without_certificate():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def with_certificate(bundle):
    context = without_certificate()
    context.load_cert_chain(bundle, bundle)
    return context


def test_without_a_certificate_nobody_comes_in_at_any_port(whole):
    for n in THREE:
        for name in (f"etcd-{n}", f"etcd-{n}-peer"):
            refused = 0
            for attempt in range(REQUESTS):
                with pytest.raises((OSError, http.client.HTTPException)):
                    says(port(whole, name), without_certificate() if attempt % 2 else None)
                refused += 1
            assert refused == REQUESTS, name


def test_a_certificate_of_one_circle_is_no_good_in_the_other_nor_is_one_that_somebody_made(whole, tmp_path):
    made = tmp_path / "made.pem"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=postgres-1 -days 1 -out {made} -keyout {made}.key"
    subprocess.run(words.split(), check=True, capture_output=True)
    made.write_text(made.read_text() + (tmp_path / "made.pem.key").read_text())
    member = home(whole) / "etcd-1" / "tls" / "etcd-1.pem"
    door = home(whole) / "etcd-1-door" / "tls" / "etcd-1.pem"
    for bundle, name in (
        (made, "etcd-1"),
        (made, "etcd-1-peer"),
        (member, "etcd-1"),
        (door, "etcd-1"),
        (holder(whole).certificate, "etcd-1-peer"),
        (door, "etcd-1-peer"),
    ):
        with pytest.raises((OSError, http.client.HTTPException)):
            says(port(whole, name), with_certificate(bundle))


def test_pulse_sees_how_etcd_is_and_reads_no_key(whole):
    tls = home(whole) / "etcd-1-door" / "tls"
    context = with_certificate(tls / "erip-pulse.pem")
    door = port(whole, "etcd-1")
    for path in ("/health", "/metrics"):
        assert says(door, context, path) == 200
        assert says(door, context, path, "POST", "{}") == 403
    for path in (*OUTSIDE, "/version", "/v3/kv/range", "/v3/kv/txn", "/v3/auth/authenticate", "/v3/lease/grant"):
        if path not in ("/health", "/metrics"):
            for method in ("POST", "GET", "PUT"):
                assert says(door, context, path, method, "{}") in (400, 403), (method, path)

    urls = tuple(f"https://{LOOPBACK}:{port(whole, f'etcd-{n}')}" for n in THREE)
    probe = Watching(replace(conf(), etcd=urls, ca=str(tls / "ca.crt"), certificate=str(tls / "erip-pulse.pem")))
    found = probe()
    assert found.state is State.OK
    assert all(one.identity for one in found.members), "a restart that nobody saw shows"
    assert sorted(one.role for one in found.members) == ["follower", "follower", "leader"]


def test_with_a_certificate_only_what_patroni_asks_for_is_let_through(whole):
    context = with_certificate(holder(whole).certificate)
    door = port(whole, "etcd-1")
    assert says(door, context, "/version") == 200
    assert says(door, context, "/v3/cluster/member/list", "POST", "{}") == 200
    alarm = json.dumps({"action": "ACTIVATE", "memberID": "0", "alarm": "NOSPACE"})
    for path in OUTSIDE:
        for method in ("POST", "GET", "PUT"):
            assert says(door, context, path, method, alarm) in (400, 403), (method, path)
    assert root(whole).full() == []


def test_a_certificate_without_a_password_reads_and_writes_nothing(whole):
    outsider = Etcd([(LOOPBACK, port(whole, "etcd-1"))], tls=holder(whole), timeout=3.0)
    for attempt in (
        lambda: outsider.under("/service/"),
        lambda: outsider.put("/service/erip/config", "{}", lease=0),
        lambda: outsider.delete("/service/erip/leader"),
    ):
        with pytest.raises(EtcdError):
            attempt()


def test_patronis_login_reaches_its_own_keys_alone(whole):
    password = read_json(whole.state.secrets)["etcd_patroni"]
    patroni = Etcd([(LOOPBACK, port(whole, "etcd-1"))], "patroni", password, tls=holder(whole), timeout=3.0)
    assert "/service/erip/leader" in patroni.under("/service/erip/")
    with pytest.raises(EtcdError, match="permission denied"):
        patroni.put("/elsewhere", "x", lease=0)
    with pytest.raises(EtcdError, match="permission denied"):
        patroni.under("/")


def test_a_member_is_replaced_only_if_it_is_another_one_and_at_its_address(whole):
    """What benchmarks.hosts shows with a lost machine is that the right one is."""
    etcd = root(whole)
    members = etcd.members()
    assert {one.name for one in members} == {f"etcd-{n}" for n in THREE}
    peers = {one.name: one.peers[0] for one in members}
    for name, peer, why in (
        ("etcd-1", peers["etcd-1"], "member of this machine"),
        ("etcd-9", "https://10.0.0.9:2380", "0 members"),
        ("etcd-2", "https://10.0.0.9:2380", "has the address"),
        ("etcd-2", peers["etcd-3"], "2 members"),
    ):
        with pytest.raises(Refused, match=why):
            replace_member(etcd, name, peer)
    assert etcd.members() == members


def test_the_socket_and_the_keys_are_for_their_owner_alone(whole):
    assert whole.roles.etcd_socket(1).parent.stat().st_mode & 0o077 == 0
    for circle in (PEERS, CLIENTS):
        folder = home(whole) / "ca" / circle
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_was_rewritten_in_etcd_runs_no_command(whole, tmp_path):
    tmp_path.chmod(0o777)
    touched = tmp_path / "touched"
    etcd = root(whole)
    before = etcd.get("/service/erip/config").value
    evil = json.loads(before)
    evil["postgresql"]["parameters"] |= {"archive_mode": "on", "archive_command": f"touch {touched}", "work_mem": "5MB"}
    evil["postgresql"] |= {
        "callbacks": dict.fromkeys(("on_start", "on_reload", "on_restart", "on_role_change"), f"touch {touched}"),
        "pg_hba": ["host all all 0.0.0.0/0 trust"],
        "recovery_conf": {"restore_command": f"touch {touched}"},
    }
    try:
        etcd.put("/service/erip/config", json.dumps(evil), lease=0)
        # Then the harmless settings take effect, so the configuration has been read
        assert wait_until(lambda: asked(whole, "SHOW work_mem") == "5MB", 30)
        assert asked(whole, "SHOW archive_command") in ("", "(disabled)")
        # And a reload and a switch of WAL, which would have run the command, do not run it
        asked(whole, "SELECT pg_switch_wal()")
        time.sleep(3)
        assert not touched.exists()
    finally:
        etcd.put("/service/erip/config", before, lease=0)
    assert wait_until(lambda: asked(whole, "SHOW work_mem") == "4MB", 30)


def test_a_store_that_is_full_is_healed_and_failover_works(whole):
    # Given a client that fills the store with keys of any name until it is full, faster than its keepers check
    value = base64.b64encode(os.urandom(600_000)).decode()
    keepers = [whole.child(f"etcd-{n}-keeper").process for n in THREE]
    for keeper in keepers:
        keeper.send_signal(signal.SIGSTOP)
    assert "database space exceeded" in filled(root(whole), value)
    assert root(whole).full() != []
    # When the primary's node dies, and the keepers check again only after that
    with writing(whole) as writer:
        before = whole.roles.postgres_primary()
        began = time.monotonic()
        look_again = threading.Timer(3.0, lambda: [keeper.send_signal(signal.SIGCONT) for keeper in keepers])
        look_again.start()
        gap = strike(whole, writer, FAULTS["node and its guard killed"], patience=HEALED_WITHIN)
        # Then another node becomes the leader in time
        assert wait_until(lambda: whole.roles.postgres_primary() not in (None, before), HEALED_WITHIN)
    look_again.join()
    assert gap < HEALED_WITHIN
    assert writer.lost() == set()
    # And the alarm is gone, and so are the keys that filled the store
    assert wait_until(lambda: root(whole).full() == [], HEALED_WITHIN)
    print(f"gap {gap:.1f} s, healed after {time.monotonic() - began:.1f} s")
    assert not [name for name in root(whole).names() if name.startswith("/filler/")]
    # And etcd requires logins again
    with pytest.raises(EtcdError):
        Etcd([(LOOPBACK, port(whole, "etcd-1"))], tls=holder(whole), timeout=3.0).under("/service/")


def filled(etcd, value):
    """What etcd answers when the store is full."""
    for number in range(200):
        try:
            etcd.put(f"/filler/{number}", value, lease=0)
        except EtcdError as error:
            return str(error)
    return ""


def test_a_history_that_fills_the_store_is_forgotten(whole):
    etcd = root(whole)
    value = base64.b64encode(os.urandom(300_000)).decode()

    def written():
        try:
            etcd.put("/guard/service/erip/votes/filler", value, lease=0)
        except EtcdError:
            return False
        return True

    # When one key is written so often that its history takes three times the room that the store has
    # Then every write is taken in the end, because what was before it is forgotten
    for _ in range(120):
        assert wait_until(written, HEALED_WITHIN)
    assert wait_until(lambda: root(whole).full() == [] and _used(whole) < 1, HEALED_WITHIN)
    etcd.delete("/guard/service/erip/votes/filler")


def test_a_door_whose_etcd_is_away_closes_the_connection(whole):
    """Patroni accepts any answer, also an error: it asks another etcd only when a connection breaks."""
    pid = whole.child("etcd-2").process.pid
    os.kill(pid, 9)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError, socket.timeout)):
        says(port(whole, "etcd-2"), with_certificate(holder(whole).certificate))
    # And it starts again, whatever the killed process left behind
    etcd = Etcd([whole.roles.etcd_socket(2)], timeout=2.0)
    assert wait_until(lambda: whole.whole() and _healthy(etcd), 60)


def _healthy(etcd):
    try:
        return etcd.healthy()
    except EtcdError:
        return False


def asked(trio, statement):
    """What the primary answers to the statement."""
    name = trio.roles.postgres_primary()
    if name is None:
        return None
    password = read_json(trio.state.secrets)["postgres_superuser"]
    connection = trio.haproxy.reached.connect(port(trio, name), password, "postgres")
    with closing(connection):
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]


def _used(trio):
    return max(int(root(trio, n).status()["dbSize"]) for n in THREE) / QUOTA
