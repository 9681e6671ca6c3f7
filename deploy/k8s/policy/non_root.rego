# METADATA
# title: non-root
# description: What breaks out of a container as root is root on the node.
package erip.non_root

import rego.v1

import data.erip.lib

deny contains sprintf("%s: may run as root", [one.name]) if {
	some one in lib.containers
	not shown(one, "runAsNonRoot", {true})
}

deny contains sprintf("%s: no user, or user 0", [one.name]) if {
	some one in lib.containers
	not is_somebody(one)
}

deny contains sprintf("%s: in group 0", [one.name]) if {
	some one in lib.containers
	said(one, "runAsGroup") == 0
}

deny contains sprintf("%s: in group 0", [one.name]) if {
	some one in lib.containers
	one.pod_security.fsGroup == 0
}

deny contains sprintf("%s: in group 0", [one.name]) if {
	some one in lib.containers
	0 in one.pod_security.supplementalGroups
}

# What the container says counts, then what its pod says.
said(one, what) := one.security[what]

said(one, what) := one.pod_security[what] if not what in object.keys(one.security)

shown(one, what, values) if said(one, what) in values

is_somebody(one) if said(one, "runAsUser") > 0
