"""What the manifests of deploy/k8s must hold to, as plain functions: tests also show that a bad manifest fails."""

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from erip.ops.stack.state import ROOT

BASE = ROOT / "deploy" / "k8s" / "base"
OVERLAYS = ROOT / "deploy" / "k8s" / "overlays"
COMPONENTS = ROOT / "deploy" / "k8s" / "components"
#: kinds whose pods we describe
WITH_PODS = ("Deployment", "Job", "StatefulSet")


def documents(folder: Path = BASE) -> list[dict[str, Any]]:
    return [one for path in sorted(folder.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text()) if one]


def pods() -> dict[str, dict[str, Any]]:
    """Deployments and Jobs, by name."""
    return {one["metadata"]["name"]: one for one in documents() if one["kind"] in WITH_PODS}


def spec_of(workload: Mapping[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def containers(workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = spec_of(workload)
    return [*spec.get("initContainers", []), *spec["containers"]]


def faults(workload: Mapping[str, Any]) -> Iterator[str]:
    """What the gate refuses in one Deployment or Job besides what breaks a rule of deploy/k8s/policy."""
    spec = spec_of(workload)
    sources = [each["secret"]["name"] for each in _projected(spec, "tls")]
    if not sources:
        yield "has no certificates"
    elif unknown := sorted({*sources} - certificates()):
        yield f"has certificates that nobody issues: {', '.join(unknown)}"
    for one in containers(workload):
        yield from _in_the_clear(one, files_at(spec, one))
        yield from _in_the_environment(one)


#: what a process needs to know to be reached by TLS alone, with holders of a certificate of its circle
_LISTENS = (("ERIP_WEB_CERTIFICATE", "ERIP_WEB_CLIENT_CA"), ("ERIP_FLOWER_CERTIFICATE", "ERIP_FLOWER_CLIENT_CA"))


#: their files say how they listen: test_redis_pod.py looks at those
_REDIS = ("redis-server", "redis-sentinel")


def _in_the_clear(one: Mapping[str, Any], files: Collection[str]) -> Iterator[str]:
    known = {each["name"]: each.get("value") for each in one.get("env", [])}
    if not any(path.startswith("/run/tls/") for path in files):
        yield f"{one['name']}: has no certificates"
    elif one["command"][0] in _REDIS:
        pass
    elif one.get("ports") and not any(all(known.get(name) in files for name in pair) for pair in _LISTENS):
        yield f"{one['name']}: listens in the clear, or to everybody"
    if any("httpGet" in value for key, value in one.items() if key.endswith("Probe")):
        yield f"{one['name']}: has a probe that has no certificate"


def certificates(folder: Path = BASE) -> set[str]:
    """The Secrets that cert-manager makes."""
    return {one["spec"]["secretName"] for one in documents(folder) if one["kind"] == "Certificate"}


def _projected(spec: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = [volume for volume in spec.get("volumes", []) if volume.get("name") == name]
    return [source for volume in found for source in volume.get("projected", {}).get("sources", [])]


def files_at(spec: Mapping[str, Any], one: Mapping[str, Any]) -> set[str]:
    """The paths of the files of secrets in a container."""
    return {
        f"{mount['mountPath']}/{item['path']}"
        for mount in one.get("volumeMounts", [])
        for source in _projected(spec, mount["name"])
        for item in source["secret"]["items"]
    }


def secrets(workload: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Secrets of a pod, with the key that it gets: `*` for all of it. Without keys that may be absent."""
    found = {
        (source["secretRef"]["name"], "*")
        for one in containers(workload)
        for source in one.get("envFrom", [])
        if "secretRef" in source
    }
    for volume in spec_of(workload)["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if not source["secret"].get("optional"):
                found |= {(source["secret"]["name"], item["key"]) for item in source["secret"]["items"]}
        if "secret" in volume:
            found |= {(volume["secret"]["secretName"], item["key"]) for item in volume["secret"]["items"]}
    return found


def has_token(document: Mapping[str, Any]) -> bool:
    return document["kind"] in WITH_PODS and bool(spec_of(document).get("automountServiceAccountToken"))


def _in_the_environment(one: Mapping[str, Any]) -> Iterator[str]:
    for variable in one.get("env", []):
        if "://" in str(variable.get("value", "")):
            yield f"{one['name']}: has an address in the manifest"
    if any("secretRef" in source and source["secretRef"]["name"] == "erip" for source in one.get("envFrom", [])):
        yield f"{one['name']}: has secrets of the platform in its environment"


# --- network policies -------------------------------------------------------------------------------------

Labels = Mapping[str, str]


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """A label selector of Kubernetes; only what we use of it. Raises ValueError for anything else."""
    for name, value in selector.get("matchLabels", {}).items():
        if labels.get(name) != value:
            return False
    for one in selector.get("matchExpressions", []):
        if one["operator"] != "In":
            raise ValueError(one["operator"])
        if labels.get(one["key"]) not in one["values"]:
            return False
    if selector.keys() - {"matchLabels", "matchExpressions"}:
        raise ValueError(str(selector))
    return True


def _is_peer(peer: Mapping[str, Any], labels: Labels | None, namespace: Labels, address: str | None) -> bool:
    if "ipBlock" in peer:
        if address is None:
            return False
        block = peer["ipBlock"]
        at = ipaddress.ip_address(address)
        return at in ipaddress.ip_network(block["cidr"]) and not any(
            at in ipaddress.ip_network(one) for one in block.get("except", [])
        )
    if labels is None:
        return False
    here = {"kubernetes.io/metadata.name": "erip"}
    in_namespace = matches(peer["namespaceSelector"], namespace) if "namespaceSelector" in peer else namespace == here
    return in_namespace and matches(peer.get("podSelector", {}), labels)


def allows(
    policies: Sequence[Mapping[str, Any]],
    direction: str,
    of: Labels,
    *,
    other: Labels | None = None,
    namespace: str = "erip",
    address: str | None = None,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Whether the pod with the labels `of` may reach (`egress`), or be reached from (`ingress`), a pod with the labels
    `other` in a namespace, or an address. As Kubernetes decides: without a policy for the pod, everything is open."""
    word = direction.capitalize()
    own = [one for one in policies if matches(one["spec"]["podSelector"], of) and word in one["spec"]["policyTypes"]]
    side = "to" if direction == "egress" else "from"
    return not own or any(
        any(each["port"] == port and each.get("protocol", "TCP") == protocol for each in rule["ports"])
        and any(_is_peer(peer, other, {"kubernetes.io/metadata.name": namespace}, address) for peer in rule[side])
        for policy in own
        for rule in policy["spec"].get(direction, [])
    )
