"""The certificate authority: what it signs, when it signs again, and that servers take it."""

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from erip.ops.ca import LEAF_DAYS, Authority, AuthorityError, Leaf

SERVER = Leaf("etcd-door", "etcd-1", ("127.0.0.1", "etcd-1.example.org"), server=True)
CLIENT = Leaf("postgres", "postgres-1", ("127.0.0.1",), client=True)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca", "tests")


def read(bundle):
    return x509.load_pem_x509_certificate(bundle.read_bytes())


def test_keys_are_for_their_owner_alone(authority, tmp_path):
    issued = authority.issue(tmp_path / "tls", SERVER)
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "ca" / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(issued.bundle.stat().st_mode) == 0o600
    assert b"PRIVATE" not in issued.ca.read_bytes()


def test_a_leaf_says_who_it_is_and_what_it_may(authority, tmp_path):
    names = read(authority.issue(tmp_path / "tls", SERVER).bundle).extensions
    alternative = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://erip.internal/etcd-door/etcd-1"
    ]
    assert alternative.get_values_for_type(x509.DNSName) == ["etcd-1.example.org"]
    assert [str(one) for one in alternative.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert list(names.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert names.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_it_stands_until_half_of_its_life_is_left(authority, tmp_path):
    first = authority.issue(tmp_path / "tls", SERVER)
    assert first.fresh
    now = datetime.now(UTC)
    early, late = (now + timedelta(days=LEAF_DAYS * share) for share in (0.45, 0.55))
    serial = read(first.bundle).serial_number
    assert not authority.issue(tmp_path / "tls", SERVER, now=early).fresh
    assert read(first.bundle).serial_number == serial
    assert authority.issue(tmp_path / "tls", SERVER, now=late).fresh
    assert read(first.bundle).not_valid_after_utc > late + timedelta(days=LEAF_DAYS - 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bundle: bundle.unlink(),
        lambda bundle: bundle.write_bytes(bundle.read_bytes()[:300]),
        lambda bundle: bundle.write_text("nonsense"),
        lambda bundle: bundle.with_name("ca.crt").unlink(),
    ],
)
def test_what_is_missing_or_broken_is_made_again(authority, tmp_path, spoil):
    spoil(authority.issue(tmp_path / "tls", SERVER).bundle)
    assert authority.issue(tmp_path / "tls", SERVER).fresh
    assert not authority.issue(tmp_path / "tls", SERVER).fresh


def test_another_address_or_another_authority_means_another_certificate(authority, tmp_path):
    authority.issue(tmp_path / "tls", SERVER)
    moved = Leaf("etcd-door", "etcd-1", ("10.0.0.11",), server=True)
    assert authority.issue(tmp_path / "tls", moved).fresh
    assert Authority(tmp_path / "ca2", "others").issue(tmp_path / "tls", moved).fresh


def test_half_an_authority_is_an_error_and_never_a_new_one(authority, tmp_path):
    authority.prepare()
    (tmp_path / "ca" / "ca.key").unlink()
    with pytest.raises(AuthorityError, match=r"ca\.key is missing"):
        authority.issue(tmp_path / "tls", SERVER)


def test_both_sides_know_each_other_by_it_and_a_stranger_is_refused(authority, tmp_path):
    server = authority.issue(tmp_path / "server", SERVER)
    client = authority.issue(tmp_path / "client", CLIENT)
    stranger = Authority(tmp_path / "ca2", "others").issue(tmp_path / "stranger", CLIENT)
    assert talk(server, client) == "postgres-1"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk(server, stranger)
    # A server's certificate is no client's
    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk(server, authority.issue(tmp_path / "other", Leaf("etcd-door", "etcd-2", ("127.0.0.1",), server=True)))


def talk(server, client):
    """The name of the client, as the server has read it from its certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(server.bundle, server.bundle)
    calling = ssl.create_default_context(cafile=server.ca)
    calling.load_cert_chain(client.bundle, client.bundle)
    found = []

    def serve():
        try:
            with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
                found.append(dict(one[0] for one in peer.getpeercert()["subject"])["commonName"])
                peer.sendall(b"x")
        except (ssl.SSLError, OSError):
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            raw = socket.create_connection(listener.getsockname(), 5)
            with calling.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                if connection.recv(1) != b"x":
                    raise ConnectionError("closed")
        finally:
            thread.join(10)
    return found[0]
