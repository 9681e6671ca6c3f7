"""The image's pods beside a PostgreSQL, a Redis, and what answers the autoscaler as Kubernetes would: tables, then each
pod that stays; a run from request to end."""

import http.client
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.image.pods import PATIENCE, Pod, PodFailed, Running, workloads
from erip.foundation.process.trust import context_of
from erip.ops.ca import Authority, Leaf
from erip.ops.image.archive import Image
from erip.ops.stack.ports import LOOPBACK
from tests.support import kubernetes

HOST = "erip.example.org"
#: the servers of this story speak in the clear, on loopback
IN_THE_CLEAR = {
    **dict.fromkeys(("ERIP_BROKER_CA", "ERIP_BROKER_CERTIFICATE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"), ""),
    "PGSSLMODE": "disable",
    "PGSSLMINPROTOCOLVERSION": "",
}
#: what an overlay adds
OVERLAY = {
    "ERIP_ALLOWED_HOSTS": f"{HOST},localhost",
    "ERIP_PUBLIC_URL": f"https://{HOST}",
    "ERIP_TRUSTED_PROXIES": "127.0.0.1",
}
#: what a process of the image may do, told by itself
ALLOWED = """
import json, os
def refused(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.strerror
    return "written"
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "user": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": status["CapEff"].strip() + "/" + status["CapBnd"].strip(),
    "no new rights": status["NoNewPrivs"].strip(),
    "writes": {path: refused(path) for path in ("/x", "/opt/erip/x", "/etc/passwd", "/run/x", "/run/erip/x", "/tmp/x")},
}))
"""


#: a pod that stays has all of them
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def staying() -> list[tuple[str, str]]:
    """The pods that are no Job's, and the container of each; web first, because others look after its runs."""
    found = [
        (name, one["name"]) for name, spec in workloads().items() for one in spec["containers"] if PROBES[0] in one
    ]
    return sorted(found, key=lambda one: one[0] != "erip-web")


class Story:
    """servers: DATABASE_URL and ERIP_BROKER_URL."""

    def __init__(self, image: Image, files: Path, folder: Path, servers: Mapping[str, str]) -> None:
        self._image, self._files, self._folder = image, files, folder
        self._volumes: dict[str, Path] = {}
        self._keep("secrets", {**servers, "ERIP_SECRET_KEY": secrets.token_urlsafe(48)})
        self._keep("owner", {"DATABASE_OWNER_URL": servers["DATABASE_URL"]})
        self._login = f"web:{secrets.token_urlsafe(24)}"
        self._keep("flower", {"ERIP_FLOWER_LOGIN": self._login})
        self._broker = servers["ERIP_BROKER_URL"]
        self._certificates()
        self.faults: list[str] = []

    def tell(self) -> None:
        """Raises PodFailed, and OSError if nobody answers."""
        migrate, web = self._pod("erip-migrate"), self._pod("erip-web")
        allowed = json.loads(web.run("web", ["python", "-c", ALLOWED]))
        self._say("what a process may do", json.dumps(allowed))
        expected = {"/run/erip/x": "written", "/tmp/x": "written"}  # noqa: S108  # nosec B108
        if {path: how for path, how in allowed["writes"].items() if how == "written"} != expected:
            self.faults.append("it may write where it should not, or not where it should")
        if allowed["user"][:2] != [10001, 10001] or set(allowed["capabilities"]) - set("0/"):
            self.faults.append("it has another user's rights, or capabilities")
        for container in ("migrate", "bootstrap"):
            began = time.monotonic()
            migrate.run(container, migrate.container(container)["command"])
            self._say(" ".join(migrate.container(container)["command"]), f"{time.monotonic() - began:.1f} s")
        self._say("manage.py check", web.run("web", ["python", "manage.py", "check"]).strip())
        self._say("manage.py settings check", web.run("web", ["python", "manage.py", "settings", "check"]).strip())
        admin = ["python", "manage.py", "ensure_admin", "--username", "admin", "--password-stdin"]
        migrate.run("bootstrap", admin, secrets.token_urlsafe(24) + "\n")
        made = ["--name", "image", "--owner", "admin", "--scope", "operator", "--json"]
        key = json.loads(migrate.run("bootstrap", ["python", "manage.py", "create_api_key", *made]))["key"]
        with ExitStack() as stack:
            pods = self._start(stack, web)
            self._run(str(key))
            for one in pods:
                status, seconds = one.end()
                self._say(f"{one.pod.name} after SIGTERM", f"status {status}, {seconds:.1f} s")
                if status != 0:
                    self.faults.append(f"{one.pod.name} ended with status {status}")

    def _start(self, stack: ExitStack, web: Pod) -> list[Running]:
        flower = {"ERIP_FLOWER_BROKER_URL": self._broker, "FLOWER_BASIC_AUTH": self._login}
        account, kubelet = stack.enter_context(self._kubernetes())
        found = []
        for name, container in staying():
            changed = kubelet | (flower if name == "erip-flower" else {})
            pod = web if name == web.name else self._pod(name, account, **changed)
            one = stack.enter_context(pod.running(container))
            ready = [one.wait_for(probe) for probe in PROBES]
            self._say(
                f"{pod.name}: {' '.join(pod.container(container)['command'])[:60]}",
                f"its probes succeed after {sum(ready):.1f} s",
            )
            found.append(one)
        return found

    def _run(self, key: str) -> None:
        """A run over the API, a file for browsers, and Flower by way of the web process."""
        asked = {"business_key": "image", "input": {"threat_id": "T-1", "cves": ["CVE-2021-44228"]}}
        place = "/api/v1/workflows/critical-threat/runs"
        status, body = self._ask("POST", place, key, json.dumps(asked), Prefer="wait=30")
        if status not in (200, 201, 202):
            raise PodFailed(f"{place}: {status}: {body[:1000]}")
        run, until = json.loads(body), time.monotonic() + PATIENCE
        while run["status"] not in ("SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT") and time.monotonic() < until:
            time.sleep(0.2)
            run = json.loads(self._ask("GET", f"/api/v1/runs/{run['id']}", key)[1])
        self._say("a run of critical-threat over the API", run["status"])
        if run["status"] != "SUCCEEDED":
            self.faults.append(f"the run ended as {run['status']}")
        for path in ("/health/live", "/health/ready", "/static/access/admin.css"):
            status, _ = self._ask("GET", path, key)
            self._say(path, str(status))
            if status != 200:
                self.faults.append(f"{path}: {status}")

    def _ask(self, method: str, path: str, key: str, body: str = "", **headers: str) -> tuple[int, str]:
        own = self._volumes["tls"] / "web"
        link = http.client.HTTPSConnection("127.0.0.1", 8000, timeout=60, context=_named(own))
        sent = {
            "Host": HOST,
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "X-Forwarded-Proto": "https",
        }
        link.request(method, path, body or None, {**sent, **headers})
        answer = link.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    @contextmanager
    def _kubernetes(self) -> Iterator[tuple[Path, dict[str, str]]]:
        """What answers as the API server: the files of the account that may ask it, and what a kubelet says of it."""
        account = self._folder / "account"
        account.mkdir()
        leaf = Leaf("api", "api", (LOOPBACK,), server=True)
        api = Authority(self._folder / "ca" / "api", "api").issue(self._folder / "issued" / "api", leaf)
        (account / "ca.crt").write_text(api.ca.read_text())
        with kubernetes.cluster(account, api.bundle) as cluster:
            for path in (account, *account.iterdir()):
                path.chmod(0o755)
            port = str(urlsplit(cluster.server).port)
            yield account, {"KUBERNETES_SERVICE_HOST": LOOPBACK, "KUBERNETES_SERVICE_PORT": port}

    def _pod(self, name: str, account: Path | None = None, **changed: str) -> Pod:
        folder = self._folder / name
        folder.mkdir()
        folder.chmod(0o755)
        changed = {**OVERLAY, **IN_THE_CLEAR, **changed}
        pod = Pod(name, self._image, self._files, folder, self._volumes, changed, account)
        pod.prepare()
        return pod

    def _keep(self, volume: str, files: Mapping[str, str]) -> None:
        """As a kubelet does: files of root's, for the group of the pod."""
        for name, content in files.items():
            path = self._folder / "volumes" / volume / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o440)
            os.chown(path, 0, 10001)
        self._volumes[volume] = self._folder / "volumes" / volume

    def _certificates(self) -> None:
        """The circles `web` and `flower`, as deploy/k8s/base/certificates.yaml has them."""
        for circle, mine in (
            ("web", Leaf("web", "erip-web", ("erip-web",), server=True, client=True)),
            ("flower", Leaf("flower", "erip-flower", ("erip-flower",), server=True, client=True)),
        ):
            issued = Authority(self._folder / "ca" / circle, circle).issue(self._folder / "issued" / circle, mine)
            self._keep(
                "tls", {f"{circle}/ca.crt": issued.ca.read_text(), f"{circle}/erip.pem": issued.bundle.read_text()}
            )

    def _say(self, what: str, found: str) -> None:
        print(f"{what}: {found}", flush=True)


def _named(own: Path) -> ssl.SSLContext:
    context = context_of(str(own / "ca.crt"), str(own / "erip.pem"))
    # It is asked by its address, which its certificate does not hold; the authority is looked at.
    context.check_hostname = False
    return context


def inside(words: list[str]) -> int:
    """Carry out `words` beside servers of their own, in a network of their own. The exit status."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607
    servers = [sys.executable, "-m", "erip.ops.stack", "with-servers", "--", *words]
    return subprocess.run(servers, check=False).returncode  # noqa: S603
