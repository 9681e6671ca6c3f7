# METADATA
# title: probes
# description: Without them a process that hangs stays, one that is not ready gets requests, and one that never starts holds up no rollout.
package erip.probes

import rego.v1

import data.erip.lib

deny contains sprintf("%s: no %s", [one.name, which]) if {
	some one in lib.containers
	one.lasts
	some which in ["startupProbe", "readinessProbe", "livenessProbe"]
	not asks(one.spec, which)
}

# Kubernetes takes `livenessProbe: {}` as none.
asks(container, which) if {
	some how in ["exec", "httpGet", "tcpSocket", "grpc"]
	is_object(container[which][how])
	count(container[which][how]) > 0
}
