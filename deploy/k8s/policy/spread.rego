# METADATA
# title: spread
# description: All pods of a kind on one node, or in one zone, are lost together.
package erip.spread

import rego.v1

import data.erip.lib

deny contains sprintf("%s: not spread over %s", [pod.name, key]) if {
	some pod in lib.pods
	lib.several(pod)
	some key in ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
	not over(pod, key)
}

over(pod, key) if {
	some one in object.get(pod.spec, "topologySpreadConstraints", [])
	one.topologyKey == key
	lib.selects(one.labelSelector, pod.labels)
}
