# METADATA
# title: no-host
# description: A pod with the network, the processes, a port or a folder of its node is outside of every other rule here.
package erip.no_host

import rego.v1

import data.erip.lib

deny contains sprintf("%s: has the node's own: %s", [pod.name, what]) if {
	some pod in lib.pods
	some what in ["hostNetwork", "hostPID", "hostIPC"]
	pod.spec[what]
}

deny contains sprintf("%s: mounts a folder of the node", [pod.name]) if {
	some pod in lib.pods
	some volume in object.get(pod.spec, "volumes", [])
	"hostPath" in object.keys(volume)
}

deny contains sprintf("%s: takes a port of the node", [one.name]) if {
	some one in lib.containers
	some port in object.get(one.spec, "ports", [])
	object.get(port, "hostPort", 0) != 0
}
