"""The NetworkPolicies of deploy/k8s in the kernel: pods are network namespaces, policies are rules of nftables, and
each arrow is a connection. What is not named here is shut."""

import itertools
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support import manifests
from tests.support.namespaces import needed
from tests.support.pod_network import OPEN, SHUT, PodNetwork, forbidden
from tests.support.policies import NAMESPACE, Pod, ruleset

pytestmark = needed("nft", tried=forbidden)

PLATFORM: Final = {"web", "worker", "worker-critical", "leader", "autoscaler", "migrate"}
USERS_OF_REDIS: Final = {"web", "worker", "worker-critical", "leader", "flower"}
WORKLOADS: Final = {*PLATFORM, "flower"}
POSTGRES: Final = {"postgres-1", "postgres-2"}
REDIS: Final = {"redis-1", "redis-2"}
#: who else is in the namespace
OTHERS: Final[dict[str, dict[str, str]]] = {
    "postgres-1": {"cnpg.io/cluster": "erip-db"},
    "postgres-2": {"cnpg.io/cluster": "erip-db"},
    "redis-1": {"app": "erip-redis"},
    "redis-2": {"app": "erip-redis"},
    "stranger": {"app": "stranger"},
}
#: pods of other namespaces, with the labels that a policy may ask for
ELSEWHERE: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "system": ("kube-system", {"k8s-app": "metrics-server"}),
    "ingress": ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    # It has a web pod's labels, and another namespace.
    "neighbour": ("neighbour", {"app": "erip-web", "app.kubernetes.io/part-of": "erip"}),
    "operator": ("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
}
#: addresses that are no pod's
OUTSIDE: Final = {
    "world": "93.184.216.34",
    "api-server": "10.96.0.1",
    "office": "192.168.7.7",
    "metadata": "169.254.169.254",
}
PORTS: Final = (53, 443, 465, 587, 5432, 5555, 6379, 6443, 8000, 8472, 9187, 26379)

Arrow = tuple[str, str, int]


def arrows(sources: set[str], targets: set[str], *ports: int) -> set[Arrow]:
    return {(a, b, port) for a, b, port in itertools.product(sources, targets, ports) if a != b}


#: what the base opens, by the policies of both ends
OPENED: Final[dict[tuple[str, ...], set[Arrow]]] = {
    ("ingress-to-web",): arrows({"ingress"}, {"web"}, 8000),
    ("platform-to-postgres", "postgres-from-platform"): arrows(PLATFORM, POSTGRES, 5432),
    ("platform-to-redis", "redis-from-platform"): arrows(USERS_OF_REDIS, REDIS, 6379, 26379),
    ("web-to-flower", "flower-from-web"): arrows({"web"}, {"flower"}, 5555),
    ("all-to-dns",): arrows(WORKLOADS, {"dns"}, 53),
    ("workers-and-leader-to-the-world",): arrows({"worker", "worker-critical", "leader"}, {"world"}, 443, 465, 587),
    # Until an overlay narrows it to the API server, whose address only the site knows: all but a cloud's metadata, and
    # what lets nobody in.
    ("autoscaler-to-kubernetes",): arrows({"autoscaler"}, {*ELSEWHERE, "world", "api-server", "office"}, 443, 6443),
}
#: what a component opens besides, in an overlay that names it
MORE: Final = {
    "token-issuers": arrows({"web"}, {*ELSEWHERE, *OUTSIDE} - {"metadata"}, 443, 6443),
    "redis": arrows(REDIS, REDIS, 6379, 26379) | arrows(REDIS, {"dns"}, 53),
    "prometheus-operator": arrows({"prometheus"}, POSTGRES, 9187),
    "cloudnative-pg": arrows(POSTGRES, POSTGRES, 5432)
    | arrows(POSTGRES, {"dns"}, 53)
    | arrows({"operator"}, POSTGRES, 5432, 8000)
    | arrows(POSTGRES, {*ELSEWHERE, *OUTSIDE} - {"metadata"}, 443, 6443),
}
POLICIES: Final = {one["metadata"]["name"]: one for one in manifests.documents() if one["kind"] == "NetworkPolicy"}


def everybody() -> list[Pod]:
    labels = {name.removeprefix("erip-"): one for name, one in manifests.pods().items()}
    ours = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in labels.items()} | OTHERS
    inside = [(name, NAMESPACE, one) for name, one in ours.items()]
    inside += [(name, namespace, one) for name, (namespace, one) in ELSEWHERE.items()]
    pods = [
        Pod(name, one, f"10.244.0.{at}", f"pod{at}", namespace) for at, (name, namespace, one) in enumerate(inside, 1)
    ]
    return pods + [Pod(name, {}, at, f"out{number}", None) for number, (name, at) in enumerate(OUTSIDE.items())]


PODS: Final = everybody()
#: all but what policies of ours say nothing about
ASKED: Final = [
    (one.name, other.name, port)
    for one, other in itertools.permutations(PODS, 2)
    if NAMESPACE in (one.namespace, other.namespace)
    for port in PORTS
]
#: enough to see what one policy is for: all arrows, and each seventh of the rest
SOME: Final = sorted(
    {*ASKED[::7], *set().union(*OPENED.values()), *arrows({"stranger"}, {"world", "metadata"}, *PORTS)}
)


@pytest.fixture(scope="module")
def network() -> Iterator[PodNetwork]:
    with PodNetwork(PODS, PORTS) as made:
        yield made


def opened(network: PodNetwork, policies: list[dict[str, Any]], asked: list[Arrow] = ASKED) -> set[Arrow]:
    """What is open of what was asked; all else must be shut by a rule, not for want of a way."""
    network.apply(ruleset(policies, PODS))
    outcomes = network.outcomes(asked)
    assert set(outcomes.values()) <= {OPEN, SHUT}, {
        key: one for key, one in outcomes.items() if one not in (OPEN, SHUT)
    }
    return {key for key, outcome in outcomes.items() if outcome == OPEN}


def test_the_pods_are_those_of_the_manifests() -> None:
    assert {one.name for one in PODS if one.namespace == NAMESPACE} == WORKLOADS | set(OTHERS)
    assert {name for names in OPENED for name in names} | {"default-deny"} == set(POLICIES)


def test_the_page_says_how_many_connections_are_tried() -> None:
    page = (manifests.ROOT / "docs/how-to/kubernetes.md").read_text()
    assert f"tries {len(ASKED):,} connections: the {len(set().union(*OPENED.values()))} that" in page


def test_each_arrow_is_open_and_everything_else_is_shut(network: PodNetwork) -> None:
    # Without a policy everything is open: a listener stands at each port, and there is a way to it.
    assert opened(network, []) == set(ASKED)
    found = opened(network, list(POLICIES.values()))
    expected = set().union(*OPENED.values())
    assert {"lacking": expected - found, "too much": found - expected} == {"lacking": set(), "too much": set()}
    assert opened(network, []) == set(ASKED), "the listeners stood there all the time"
    # One of each pod at least is shut, to it and from it.
    for name in WORKLOADS:
        assert any(key[0] == name for key in set(ASKED) - found)
        assert any(key[1] == name for key in set(ASKED) - found)


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_is_needed_for_its_arrow_and_for_no_other(network: PodNetwork, name: str) -> None:
    expected = set().union(*(found for names, found in OPENED.items() if name not in names))
    found = opened(network, [one for other, one in POLICIES.items() if other != name], SOME)
    if name == "default-deny":
        assert found > expected | arrows({"stranger"}, {"world", "metadata"}, *PORTS)
    else:
        assert found == expected


def policies_of(component: str) -> list[dict[str, Any]]:
    found = manifests.documents(manifests.COMPONENTS / component)
    return [one for one in found if one["kind"] == "NetworkPolicy"]


def test_each_component_that_has_policies_is_tried() -> None:
    assert {path.name for path in manifests.COMPONENTS.iterdir() if policies_of(path.name)} == set(MORE)


@pytest.mark.parametrize("component", MORE)
def test_a_component_opens_its_arrows_and_no_others(network: PodNetwork, component: str) -> None:
    added = policies_of(component)
    assert {one["metadata"]["namespace"] for one in added} == {NAMESPACE}
    found = opened(network, [*POLICIES.values(), *added])
    assert found == set().union(*OPENED.values()) | MORE[component]


def test_names_are_looked_up_by_datagrams_too(network: PodNetwork) -> None:
    network.apply(ruleset(list(POLICIES.values()), PODS))
    for name in sorted(WORKLOADS):
        assert network.asks(name, "dns", 53) == OPEN
        assert network.asks(name, "system", 53) == SHUT
    assert network.asks("stranger", "dns", 53) == SHUT


@pytest.mark.parametrize(
    "change",
    [
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
        {"egress": [{"to": [{"podSelector": {}}], "ports": [{"port": "https"}]}]},
        {"egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 1, "endPort": 9}]}]},
        {"egress": [{"to": [{"nodeSelector": {}}], "ports": [{"port": 1}]}]},
        {"egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 1}], "except": []}]},
        {"ingressDeny": []},
    ],
)
def test_what_cannot_be_translated_is_refused(change: dict[str, Any]) -> None:
    """It must not become a rule that is missing."""
    policy = {"spec": {"podSelector": {}, "policyTypes": ["Egress"], **change}}
    with pytest.raises(ValueError, match=r".+"):
        ruleset([policy], PODS)
