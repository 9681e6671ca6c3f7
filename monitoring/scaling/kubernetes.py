"""The replicas of a Deployment, by its scale subresource; its use of CPU and memory by metrics.k8s.io.

Speaks with the API server as the pod's service account (deploy/k8s/base/autoscaler.yaml says what that may do), whose
token is read anew for each request: Kubernetes renews it."""

import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import structlog

from erip.foundation.os_errors import in_words
from monitoring.scaling.drivers import ScalingFailed, Usage

log = structlog.get_logger(__name__)

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: seconds that one request may take
PATIENCE = 5.0
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


class KubernetesDriver:
    """Scales one Deployment."""

    def __init__(self, deployment: str, *, namespace: str = "", server: str = "", account: Path = ACCOUNT) -> None:
        """namespace, server: by default those of the pod. Raises ScalingFailed outside of a cluster."""
        self._account = account
        try:
            self._namespace = namespace or (account / "namespace").read_text().strip()
            if not server:
                host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
                server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
            authority = account / "ca.crt"
            verify = ssl.create_default_context(cafile=str(authority)) if server.startswith("https") else True
            self._token()
        except (OSError, KeyError) as error:
            said = in_words(error, account)
            raise ScalingFailed(f"this process runs in no pod with a service account: {said}") from error
        self.target = f"{self._namespace}/{deployment}"
        self._path = f"/apis/apps/v1/namespaces/{self._namespace}/deployments/{deployment}"
        self._client = httpx.Client(base_url=server, verify=verify, timeout=PATIENCE)

    def replicas(self) -> int:
        """Raises ScalingFailed."""
        try:
            return int(self._ask("GET", f"{self._path}/scale")["spec"].get("replicas", 0))
        except (KeyError, TypeError, ValueError) as error:
            raise ScalingFailed(f"the API server's answer cannot be read: {error!r}") from error

    def scale(self, replicas: int) -> None:
        """Raises ScalingFailed."""
        self._ask("PATCH", f"{self._path}/scale", {"spec": {"replicas": replicas}})

    def usage(self) -> Usage:
        """Usage relative to what the Deployment requests; unknown in a cluster without metrics."""
        try:
            spec = self._ask("GET", self._path)["spec"]
            requested = [container.get("resources", {}) for container in spec["template"]["spec"]["containers"]]
            labels = ",".join(f"{name}={value}" for name, value in spec["selector"]["matchLabels"].items())
            path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{self._namespace}/pods"
            pods = self._ask("GET", path, query={"labelSelector": labels})["items"]
            used = [container["usage"] for pod in pods for container in pod["containers"]]
            return Usage(
                cpu=_share(used, len(pods), "cpu", _total(requested, "requests", "cpu")),
                # Memory is bounded by its limit, where there is one: above it a container is killed.
                memory=_share(used, len(pods), "memory", _total(requested, "limits", "memory")),
            )
        except (ScalingFailed, KeyError, TypeError, ValueError) as error:
            log.info("usage_unknown", target=self.target, error=error)
            return Usage()

    def close(self) -> None:
        """The Deployment stays as it is."""
        self._client.close()

    def _token(self) -> str:
        return (self._account / "token").read_text().strip()

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token()}"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            answer = self._client.request(method, path, json=body, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise ScalingFailed(f"the API server cannot be reached: {error}") from error
        if answer.is_success:
            try:
                return answer.json()
            except ValueError as error:
                raise ScalingFailed("the API server's answer is no JSON") from error
        raise ScalingFailed(f"the API server answers {answer.status_code} to {method} {path}: {answer.text[:300]}")


def _total(containers: Iterable[Mapping[str, Any]], kind: str, name: str) -> float:
    """What one pod requests, or is limited to; 0 if the pod does not say."""
    return sum(quantity(resources.get(kind, {}).get(name, "0")) for resources in containers)


def _share(used: Iterable[Mapping[str, str]], pods: int, name: str, each: float) -> float | None:
    return sum(quantity(one[name]) for one in used) / (pods * each) if pods and each else None


def quantity(text: str) -> float:
    """A Kubernetes quantity: 250m, 1.5, 512Mi. Raises ValueError."""
    number = text.rstrip("numkMGTi")
    try:
        return float(number) * _UNITS[text[len(number) :]]
    except KeyError:
        raise ValueError(f"{text!r} is no quantity") from None
