"""What the probes say of answers that servers gave: recorded ones, and any others."""

import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from monitoring.core.components import State
from monitoring.core.series import parse
from monitoring.probes import Unanswered
from monitoring.probes.certificates import look
from monitoring.probes.disk import Disk
from monitoring.probes.patroni import judge
from monitoring.probes.redis import places

LEADER = {"name": "postgres-1", "role": "leader", "state": "running", "timeline": 3}
REPLICA = {"name": "postgres-2", "role": "sync_standby", "state": "streaming", "timeline": 3, "lag": 0}
OTHER = {**REPLICA, "name": "postgres-3", "role": "replica"}


@pytest.mark.parametrize(
    ("members", "pause", "state"),
    [
        ([LEADER, REPLICA, OTHER], False, State.OK),
        ([LEADER, REPLICA, {**OTHER, "state": "stopped"}], False, State.DEGRADED),
        ([LEADER, REPLICA, {**OTHER, "lag": "unknown"}], False, State.DEGRADED),
        ([LEADER, REPLICA, {**OTHER, "lag": 10**9}], False, State.DEGRADED),
        ([LEADER], False, State.DEGRADED),
        ([LEADER, REPLICA], True, State.DEGRADED),
        ([REPLICA, OTHER], False, State.DOWN),
        ([{**LEADER, "state": "stopped"}, REPLICA], False, State.DOWN),
        ([], False, State.DOWN),
    ],
)
def test_patronis_cluster_is_well_only_if_somebody_could_take_over(
    members: list[dict[str, object]], pause: bool, state: State
) -> None:
    assert judge({"members": members, **({"pause": True} if pause else {})}).state is state


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(_json, max_size=4))
def test_no_answer_of_patroni_breaks_the_probe(members: list[object]) -> None:
    found = judge({"members": members})

    assert found.state in State
    for name in found.measures:
        parse(name)


def test_a_failover_shows_as_another_identity() -> None:
    after = judge({"members": [{**LEADER, "name": "postgres-2", "timeline": 4}, OTHER]})

    assert after.identity != judge({"members": [LEADER, OTHER]}).identity


def test_the_broker_is_found_in_kombus_url() -> None:
    one, two = places("sentinel://:p%40ss@10.0.0.1:26380/0;sentinel://:p%40ss@10.0.0.2/0")

    assert (one.host, one.port, one.password) == ("10.0.0.1", 26_380, "p@ss")
    assert (two.host, two.port) == ("10.0.0.2", 26_379)
    assert places("redis://cache:7000/1")[0].tls is None
    assert places("sentinel://cache;sentinel://other", {"ssl_ca_certs": "ca"})[1].tls == {"ssl_ca_certs": "ca"}
    assert "x" not in str(places("redis://user:secretx@cache:7000/1")[0]).replace("cache", "")


def certificate(path: Path, days: float) -> Path:
    """A certificate that is valid for so many more days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_the_first_certificate_to_expire_decides(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    later, soon, past = (certificate(tmp_path / f"{days}.pem", days) for days in (90.0, 5.0, -1.0))

    assert look([str(later)], now).state is State.OK
    said = look([str(later), str(soon)], now)
    assert (said.state, "5.0.pem" in said.sentence) == (State.DEGRADED, True)
    assert look([str(later), str(past)], now).state is State.DOWN
    assert look([str(later), str(tmp_path / "missing.pem")], now).state is State.DEGRADED
    with pytest.raises(Unanswered):
        look([str(tmp_path / "missing.pem")], now)


def test_a_servers_certificate_is_read_though_nobody_trusts_it(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "server.pem", 3.0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with context.wrap_socket(link, server_side=True) as safe:
                safe.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        said = look([f"127.0.0.1:{listener.getsockname()[1]}"], datetime.now(UTC))

    assert said.state is State.DEGRADED
    assert 2.9 < said.measures["erip_certificate_days_left"] <= 3.0


def test_a_server_that_is_away_keeps_its_certificate_for_an_hour_and_a_file_does_not(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    file = certificate(tmp_path / "here.pem", 90.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"127.0.0.1:{listener.getsockname()[1]}"
    until = now + timedelta(days=30)

    found = look([str(file), away], now, {away: (until, time.monotonic() - 3500)})
    assert (found.state, round(found.measures["erip_certificate_days_left"])) == (State.OK, 30)
    assert look([str(file), away], now, {away: (until, time.monotonic() - 3700)}).state is State.DEGRADED
    gone = str(tmp_path / "gone.pem")
    assert look([str(file), gone], now, {gone: (until, time.monotonic())}).state is State.DEGRADED


def test_a_postgresql_without_tls_is_reported(tmp_path: Path) -> None:
    file = certificate(tmp_path / "here.pem", 90.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            link, _ = listener.accept()
            with link:
                assert link.recv(8) == bytes((0, 0, 0, 8, 4, 210, 22, 47))
                link.sendall(b"N")

        threading.Thread(target=refuse, daemon=True).start()
        place = f"postgres://127.0.0.1:{listener.getsockname()[1]}"
        said = look([str(file), place], datetime.now(UTC))

    assert said.state is State.DEGRADED
    assert "(ValueError)" in said.sentence


def test_the_disk_is_looked_at_even_if_its_folder_is_not_made_yet(tmp_path: Path) -> None:
    found = Disk(tmp_path / "not" / "yet")()

    assert 0 < found.measures["erip_disk_free_bytes"] <= found.measures["erip_disk_size_bytes"]
