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
	policy.metadata.namespace == pod.namespace
	direction in policy.spec.policyTypes
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
