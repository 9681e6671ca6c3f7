"""What the manifests say, run: each Deployment of production as a process with its command, environment, files, user,
read-only root and probes, against real servers. It becomes ready by its own probes, and ends by itself when it is told.

What is not Kubernetes': the API server is a stand-in, PostgreSQL speaks without TLS (`sslmode=disable` in DATABASE_URL,
which wins over PGSSLMODE), and there is one address for all pods. Redis speaks TLS, with the logins of the manifests.
"""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
import pytest

from erip.ops.ca import Authority, Leaf
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.redis_users import FLOWER, LEADER, REPLICA, SENTINEL, WEB, WORKER
from erip.ops.kubernetes import kustomize
from erip.ops.stack.ports import LOOPBACK
from tests import workers
from tests.support import kubernetes, manifests
from tests.support.namespaces import Namespace, needed
from tests.support.pods import Pod, forbidden, running
from tests.support.relay import Relay
from tests.support.watched_redis import watched_redis

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
    needed("setpriv", "mount", tried=forbidden),
]

PRODUCTION: Final = kustomize.documents(manifests.OVERLAYS / "production")
PASSWORDS: Final = {name: f"of-{name}" for name in (WEB, WORKER, LEADER, FLOWER, REPLICA, SENTINEL)}
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def issued(folder: Path) -> dict[str, dict[str, str]]:
    """The Secrets that cert-manager makes of the Certificates of the base."""
    found = {}
    for one in (one["spec"] for one in PRODUCTION if one["kind"] == "Certificate"):
        if not one.get("isCA"):
            circle = one["issuerRef"]["name"]
            kind, name = urlsplit(one["uris"][0]).path.strip("/").split("/")
            usages = one["usages"]
            leaf = Leaf(
                kind,
                name,
                tuple(one.get("dnsNames", ())),
                server="server auth" in usages,
                client="client auth" in usages,
            )
            made = Authority(folder / circle, circle).issue(folder / one["secretName"], leaf)
            found[one["secretName"]] = {"ca.crt": made.ca.read_text(), "tls-combined.pem": made.bundle.read_text()}
    return found


@pytest.fixture
def pods(transactional_db: None, tmp_path: Path) -> Iterator[list[Pod]]:
    database = urlsplit(workers.environment()["DATABASE_URL"])
    account = tmp_path / "account"
    account.mkdir()
    api = Authority(tmp_path / "api-ca", "api").issue(tmp_path / "api", Leaf("api", "api", (LOOPBACK,), server=True))
    (account / "ca.crt").write_text(api.ca.read_text())
    with (
        watched_redis(tmp_path / "redis", PASSWORDS) as redis,
        kubernetes.cluster(account, api.bundle) as cluster,
        Namespace("pods") as room,
    ):
        asked = urlsplit(cluster.server)
        targets = [
            (database.hostname or "", database.port or 0),
            (LOOPBACK, redis.nodes[0].port),
            (LOOPBACK, asked.port or 0),
        ]
        relays = [Relay(one, room.run(lambda one=one: _listener(one[1]))) for one in targets]
        circles = Circles(redis.home / "ha" / "ca")
        secrets = issued(tmp_path / "certificates")
        for name, mine in (
            ("erip-platform-redis", circles.of_broker_client(tmp_path / "client")),
            ("erip-flower-redis", circles.of_broker_monitor(tmp_path / "monitor")),
        ):
            secrets[name] = {"ca.crt": mine.ca.read_text(), "tls-combined.pem": mine.bundle.read_text()}

        def broker(login: str) -> str:
            return f"redis://{login}:{PASSWORDS[login]}@{LOOPBACK}:{redis.nodes[0].port}/0"

        secrets |= {
            "erip": {
                "DATABASE_URL": f"{database.geturl()}?sslmode=disable",
                "ERIP_SECRET_KEY": "a-key-of-this-test-" * 4,
            },
            "erip-owner": {"DATABASE_OWNER_URL": f"{database.geturl()}?sslmode=disable"},
            "erip-broker": {WEB: broker(WEB), WORKER: broker(WORKER), LEADER: broker(LEADER)},
            "erip-flower": {"ERIP_FLOWER_BROKER_URL": broker(FLOWER), "FLOWER_BASIC_AUTH": "erip:looking-only"},
        }
        (settings,) = [one["data"] for one in PRODUCTION if one["kind"] == "ConfigMap"]
        kubelet = {"KUBERNETES_SERVICE_HOST": LOOPBACK, "KUBERNETES_SERVICE_PORT": str(asked.port)}
        found = []
        for one in PRODUCTION:
            if kustomize.pod_of(one):
                # Containers of a Job end one after the other.
                for container in kustomize.containers(one) if one["kind"] == "Job" else [{"name": ""}]:
                    folder = tmp_path / f"{one['metadata']['name']}-{container['name']}"
                    folder.mkdir()
                    more = {"account": account, "called": container["name"]}
                    found.append(Pod(one, folder, room, settings, secrets, kubelet, **more))
        # The volumes of pods are mounted: nobody comes through the folders above them. Whatever the umask is here:
        for path in (account, *account.iterdir()):
            path.chmod(0o755)
        try:
            yield found
        finally:
            for relay in relays:
                relay.__exit__(None, None, None)


def _listener(port: int) -> socket.socket:
    return socket.create_server((LOOPBACK, port), backlog=100)


def test_every_pod_becomes_ready_by_its_own_probes_and_ends_when_it_is_told(pods: list[Pod]) -> None:
    job = [one for one in pods if one.document["kind"] == "Job"]
    pods = [one for one in pods if one.document["kind"] == "Deployment"]
    assert (len(job), len(pods)) == (2, 6)
    # Web pods are not ready before it has published what ships.
    for one in job:
        with running([one]):
            assert one.process.wait(300) == 0, one.log.read_text()[-2_000:]
    with running(pods):
        for which in ("startupProbe", "readinessProbe", "livenessProbe"):
            for pod in pods:
                pod.passes(which)
        for pod in pods:
            inside = psutil.Process(pod.process.pid)
            assert inside.uids().real == 10001, pod.name
            used = sum(one.memory_full_info().pss for one in (inside, *inside.children(recursive=True)))
            assert used < bytes_of(pod.container["resources"]["limits"]["memory"]), pod.name
        for pod in pods:
            pod.process.send_signal(signal.SIGTERM)
        for pod in pods:
            # The kubelet counts the same seconds on a machine of its own; this one may be busy.
            ended = pod.process.wait(pod.spec["terminationGracePeriodSeconds"] + 60)
            assert ended == 0, f"{pod.name} ended with {ended}; log: {pod.log}"
            assert "Read-only file system" not in pod.log.read_text(), pod.name


def bytes_of(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]
