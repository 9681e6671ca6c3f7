"""A server that speaks the part of Kubernetes' API that the autoscaler uses, over HTTP, with its rights checked."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Cluster:
    """One namespace with one Deployment."""

    account: Path
    server: str = ""
    namespace: str = "risk"
    deployment: str = "erip-worker"
    token: str = "first-token"
    replicas: int = 2
    cpu: str = "100m"
    memory: str = "64Mi"
    metrics: bool = True
    #: the status with which changes are refused; 0: changes are accepted
    refuse: int = 0
    patches: list[int] = field(default_factory=list)

    def renew_token(self, token: str) -> None:
        self.token = token
        (self.account / "token").write_text(token)


@contextmanager
def cluster(folder: Path, certificate: Path | None = None) -> Iterator[Cluster]:
    """certificate: with its key, of a server that speaks TLS."""
    made = Cluster(folder)
    (folder / "namespace").write_text(made.namespace)
    made.renew_token("first-token")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            apps = f"/apis/apps/v1/namespaces/{made.namespace}/deployments/{made.deployment}"
            at = urlsplit(self.path)
            if not self._allowed():
                return
            if at.path == f"{apps}/scale":
                self._say(200, _scale(made))
            elif at.path == apps:
                self._say(200, _deployment())
            elif at.path == f"/apis/metrics.k8s.io/v1beta1/namespaces/{made.namespace}/pods" and made.metrics:
                if parse_qs(at.query) != {"labelSelector": ["app=erip-worker"]}:
                    self._say(400, _status(400, "a selector is missing"))
                else:
                    usage = {"cpu": made.cpu, "memory": made.memory}
                    pod = {"containers": [{"name": "worker", "usage": usage}]}
                    self._say(200, {"kind": "PodMetricsList", "items": [pod] * made.replicas})
            else:
                self._say(404, _status(404, "the server could not find the requested resource"))

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._allowed():
                return
            if self.headers["Content-Type"] != "application/merge-patch+json":
                self._say(415, _status(415, "the body of the request was in an unknown format"))
            elif not self.path.endswith(f"/deployments/{made.deployment}/scale"):
                self._say(404, _status(404, "not found"))
            else:
                made.replicas = body["spec"]["replicas"]
                made.patches.append(made.replicas)
                self._say(200, _scale(made))

        def _allowed(self) -> bool:
            if self.headers.get("Authorization") != f"Bearer {made.token}":
                self._say(401, _status(401, "Unauthorized"))
            elif made.refuse and self.command == "PATCH":
                self._say(made.refuse, _status(made.refuse, "refused"))
            else:
                return True
            return False

        def _say(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made.server = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()


def _scale(made: Cluster) -> dict[str, Any]:
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": made.deployment, "namespace": made.namespace},
        # Like the real API, this leaves out a zero.
        "spec": {"replicas": made.replicas} if made.replicas else {},
        "status": {"replicas": made.replicas, "selector": "app=erip-worker"},
    }


def _deployment() -> dict[str, Any]:
    resources = {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    template = {"spec": {"containers": [{"name": "worker", "resources": resources}]}}
    return {"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "erip-worker"}}, "template": template}}


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message}
