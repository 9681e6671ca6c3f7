"""NetworkPolicies of Kubernetes as rules of nftables, as a network plugin would enforce them.

A pod that a policy names for a direction may do in it what some policy allows, and nothing else; a pod that none names
is open. A connection needs both ends: what its pod lets out, and what the other lets in. Answers of a connection that
began pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.support import manifests

NAMESPACE: Final = "erip"
_KNOWN: Final = {"podSelector", "policyTypes", "ingress", "egress"}


@dataclass(frozen=True)
class Pod:
    """A pod, or with namespace None an address that is none of Kubernetes'."""

    name: str
    labels: Mapping[str, str]
    address: str
    interface: str  # the node's end of its cable
    namespace: str | None = NAMESPACE


def ruleset(policies: Sequence[Mapping[str, Any]], pods: Sequence[Pod]) -> str:
    """Input of `nft -f`, which takes the place of what was in force. Raises ValueError for what it cannot translate."""
    chains, jumps = [], []
    for pod in pods:
        for direction, meta, prefix in (("egress", "iifname", "from"), ("ingress", "oifname", "to")):
            own = [one["spec"] for one in policies if _is_for(one["spec"], direction, pod)]
            if not own:
                continue
            chain = f"{prefix}_{pod.interface}"
            lines = [line for spec in own for rule in spec.get(direction, []) for line in _lines(rule, direction, pods)]
            # A plugin may also be silent; an answer is quicker, and no pause of a busy machine looks like it.
            refused = ["meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited"]
            body = "\n".join(f"    {line}" for line in [*lines, *refused])
            chains.append(f"  chain {chain} {{\n{body}\n  }}")
            jumps.append(f'    {meta} "{pod.interface}" jump {chain}')
    # First what a pod lets out, then what the other lets in: `return` goes on to the next jump.
    jumps.sort(key=lambda line: "oifname" in line)
    entry = [
        "  chain forward {",
        "    type filter hook forward priority filter; policy accept;",
        "    ct state established,related accept",
        *jumps,
        "  }",
    ]
    return "\n".join(
        ["table inet policies", "flush table inet policies", "table inet policies {", *chains, *entry, "}"]
    )


def _is_for(spec: Mapping[str, Any], direction: str, pod: Pod) -> bool:
    if unknown := spec.keys() - _KNOWN:
        raise ValueError(f"a policy with {', '.join(sorted(unknown))}")
    named = pod.namespace == NAMESPACE and manifests.matches(spec["podSelector"], pod.labels)
    return named and direction.capitalize() in spec["policyTypes"]


def _lines(rule: Mapping[str, Any], direction: str, pods: Sequence[Pod]) -> Iterator[str]:
    side, of = ("to", "daddr") if direction == "egress" else ("from", "saddr")
    if unknown := rule.keys() - {side, "ports"}:
        raise ValueError(f"a rule with {', '.join(sorted(unknown))}")
    for port in rule["ports"]:
        if port.keys() - {"port", "protocol"} or not isinstance(port["port"], int):
            raise ValueError(f"a port that is not one number: {port}")
        protocol = port.get("protocol", "TCP").lower()
        for peer in rule[side]:
            if addresses := _addresses(peer, of, pods):
                yield f"{addresses} {protocol} dport {port['port']} return"


def _addresses(peer: Mapping[str, Any], of: str, pods: Sequence[Pod]) -> str:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        besides = ", ".join(block.get("except", []))
        return f"ip {of} {block['cidr']}" + (f" ip {of} != {{ {besides} }}" if besides else "")
    if unknown := peer.keys() - {"namespaceSelector", "podSelector"}:
        raise ValueError(f"a peer with {', '.join(sorted(unknown))}")
    found = [
        one.address
        for one in pods
        if one.namespace is not None
        and _is_in(peer, one.namespace)
        and manifests.matches(peer.get("podSelector", {}), one.labels)
    ]
    return f"ip {of} {{ {', '.join(found)} }}" if found else ""


def _is_in(peer: Mapping[str, Any], namespace: str) -> bool:
    if "namespaceSelector" not in peer:
        return namespace == NAMESPACE
    return manifests.matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
