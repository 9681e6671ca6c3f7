"""The files of a Redis in Kubernetes: made of its host name and its Secret. What Redis makes of them:
tests/integration/test_redis_pod.py."""

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from erip.ops.deploy import redis_pod
from tests.support import manifests


def secret(folder: Path, **changed: str) -> Path:
    folder.mkdir()
    for name in redis_pod.KEYS:
        (folder / name).write_text(changed.get(name, f"of-{name}\n"))
    return folder


def run(tmp_path: Path, logins: Path) -> int:
    (tmp_path / "data").mkdir(exist_ok=True)
    return redis_pod.main(["--data", str(tmp_path / "data"), "--logins", str(logins), "--tls", "/run/tls/redis"])


@pytest.mark.parametrize(("number", "follows"), [(0, False), (1, True), (2, True)])
def test_the_first_pod_is_the_first_master_and_nobody_listens_in_the_clear(
    number: int, follows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: f"erip-redis-{number}")
    assert run(tmp_path, secret(tmp_path / "secret")) == 0
    redis, sentinel = ((tmp_path / "data" / name).read_text().splitlines() for name in ("redis.conf", "sentinel.conf"))
    assert ("replicaof erip-redis-0.erip-redis 6379" in redis) is follows
    assert f"replica-announce-ip erip-redis-{number}.erip-redis" in redis
    assert "sentinel monitor erip erip-redis-0.erip-redis 6379 2" in sentinel
    assert "sentinel announce-hostnames yes" in sentinel
    for text, port in ((redis, 6379), (sentinel, 26379)):
        for line in ("port 0", f"tls-port {port}", "tls-auth-clients yes", "tls-cert-file /run/tls/redis/erip.pem"):
            assert line in text
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()} == {0o600}


def test_every_missing_password_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logins = secret(tmp_path / "secret", web=" \n")
    (logins / "default").unlink()
    (logins / "peers").write_bytes(b"\xff")
    assert run(tmp_path, logins) == 1
    said = capsys.readouterr().err
    assert [
        name for name in ("web: is empty", "default: cannot be read", "peers: cannot be read") if name not in said
    ] == []
    assert list((tmp_path / "data").iterdir()) == []


def test_a_password_that_would_break_out_of_its_line_is_refused(tmp_path: Path, capsys: Any) -> None:
    assert run(tmp_path, secret(tmp_path / "secret", default="a b")) == 1
    said = capsys.readouterr().err
    assert "holds a space" in said
    assert "a b" not in said  # it is a secret


def test_the_manifest_gives_it_what_it_needs() -> None:
    (one,) = [one for one in manifests.documents(manifests.COMPONENTS / "redis") if one["kind"] == "StatefulSet"]
    spec = manifests.spec_of(one)
    assert manifests.secrets(one) >= {("erip-redis", name) for name in redis_pod.KEYS}
    assert one["metadata"]["name"] == one["spec"]["serviceName"] == redis_pod.SERVICE
    assert {"/run/tls/redis/ca.crt", "/run/tls/redis/erip.pem"} <= manifests.files_at(
        {"volumes": [volume for volume in spec["volumes"] if "projected" in volume]}, spec["initContainers"][0]
    )
    assert list(manifests.faults(one)) == []
    maxmemory = 512
    assert spec["containers"][0]["resources"]["limits"]["memory"] == f"{3 * maxmemory}Mi"
    copied = (manifests.ROOT / "deploy/image/Containerfile").read_text()
    assert "COPY deploy/redis /layers/erip/opt/erip/deploy/redis" in copied
    assert yaml.safe_load((manifests.COMPONENTS / "redis" / "kustomization.yaml").read_text())["kind"] == "Component"


def names_of_the_certificate() -> list[str]:
    documents = yaml.safe_load_all((manifests.ROOT / "deploy/k8s/base/certificates.yaml").read_text())
    (one,) = [one for one in documents if one["metadata"]["name"] == "erip-redis-server"]
    names: list[str] = one["spec"]["dnsNames"]
    return names


def certified(folder: Path, names: list[str]) -> Path:
    """A file with a key and a certificate of these names that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def shake_hands(file: Path, name: str) -> None:
    """TLS in memory, with a client that expects this name. Raises ssl.SSLCertVerificationError."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    asking = ssl.create_default_context(cafile=str(file))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(there, back, server_side=True)
    client = asking.wrap_bio(back, there, server_hostname=name)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_a_client_that_checks_the_name_gets_through_to_each_pod(tmp_path: Path) -> None:
    (one,) = [one for one in manifests.documents(manifests.COMPONENTS / "redis") if one["kind"] == "StatefulSet"]
    pods = [f"erip-redis-{number}.{redis_pod.SERVICE}" for number in range(one["spec"]["replicas"])]
    names = names_of_the_certificate()
    assert set(pods) <= set(names)
    file = certified(tmp_path, names)
    for name in (*pods, "erip-redis-0.erip-redis.erip.svc"):
        shake_hands(file, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(certified(tmp_path, ["*.erip-redis"]), pods[0])
