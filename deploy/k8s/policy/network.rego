# METADATA
# title: network
# description: A pod that no policy selects may be reached by everybody, and reach everything: the database of the neighbour, or the cloud's metadata.
package erip.network

import rego.v1

import data.erip.lib

deny contains sprintf("%s: no default-deny for %s", [pod.name, direction]) if {
	some pod in lib.pods
	some direction in ["Ingress", "Egress"]
	count([one | some one in input.documents; denies(one, pod, direction)]) == 0
}

denies(policy, pod, direction) if {
	policy.kind == "NetworkPolicy"
	lib.namespace(policy) == pod.namespace
	direction in object.get(policy.spec, "policyTypes", ["Ingress"])
	lib.selects(policy.spec.podSelector, pod.labels)
	count(object.get(policy.spec, lower(direction), [])) == 0
}

# An arrow from everywhere is no arrow.
deny contains sprintf("NetworkPolicy/%s: opens everything", [policy.metadata.name]) if {
	some policy in input.documents
	policy.kind == "NetworkPolicy"
	some direction, side in {"ingress": "from", "egress": "to"}
	some rule in object.get(policy.spec, direction, [])
	some what in [side, "ports"]
	count(object.get(rule, what, [])) == 0
}

deny contains sprintf("NetworkPolicy/%s: opens everything", [policy.metadata.name]) if {
	some policy in input.documents
	policy.kind == "NetworkPolicy"
	some direction, side in {"ingress": "from", "egress": "to"}
	some rule in object.get(policy.spec, direction, [])
	some peer in object.get(rule, side, [])
	everybody(peer)
}

deny contains sprintf("NetworkPolicy/%s: opens every port", [policy.metadata.name]) if {
	some policy in input.documents
	policy.kind == "NetworkPolicy"
	some direction in ["ingress", "egress"]
	some rule in object.get(policy.spec, direction, [])
	some port in object.get(rule, "ports", [])
	not "port" in object.keys(port)
}

# Half of all ports of a protocol to the same peers, in one range or in several, of one rule or of several.
deny contains sprintf("NetworkPolicy/%s: opens every port", [policy.metadata.name]) if {
	some policy in input.documents
	policy.kind == "NetworkPolicy"
	some direction, side in {"ingress": "from", "egress": "to"}
	some protocol in ["TCP", "UDP", "SCTP"]
	some one in object.get(policy.spec, direction, [])
	opened := ranges(object.get(policy.spec, direction, []), side, object.get(one, side, []), protocol)
	sum([size | some range in opened; size := added(range, opened)]) >= 32768
}

# (first, last) of each.
ranges(rules, side, peers, protocol) := {[port.port, object.get(port, "endPort", port.port)] |
	some rule in rules
	object.get(rule, side, []) == peers
	some port in object.get(rule, "ports", [])
	object.get(port, "protocol", "TCP") == protocol
	is_number(port.port)
}

# How many ports a range adds to those that begin before it: each port counts once.
added(range, opened) := max([0, range[1] - max([range[0] - 1, reached(range, opened)])])

reached(range, opened) := max({0} | {other[1] | some other in opened; other < range})

# All addresses, or a good part of them: what is not meant is named.
everybody(peer) if {
	wide(peer.ipBlock.cidr)
	not excepts(peer.ipBlock)
}

wide(cidr) if regex.match(`^[0-9.]+/0*[0-7]$`, cidr)

# fc00::/7 is all that is private, 2000::/3 all that is public.
wide(cidr) if regex.match(`:.*/0*[0-3]$`, cidr)

excepts(block) if count(block.except) > 0

# All pods of the cluster.
everybody(peer) if {
	"namespaceSelector" in object.keys(peer)
	selects_all(peer.namespaceSelector)
	selects_all(object.get(peer, "podSelector", {}))
}

selects_all(selector) if not narrows(selector)

narrows(selector) if count(selector.matchLabels) > 0

narrows(selector) if count(selector.matchExpressions) > 0
