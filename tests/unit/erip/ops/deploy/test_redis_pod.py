"""The files of a Redis in Kubernetes: made of its host name and its Secret. What Redis makes of them:
tests/integration/test_redis_pod.py."""

from pathlib import Path
from typing import Any

import pytest
import yaml

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
