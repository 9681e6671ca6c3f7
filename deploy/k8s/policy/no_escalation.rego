# METADATA
# title: no-escalation
# description: A program with the setuid bit would give it rights that it was not started with.
package erip.no_escalation

import rego.v1

import data.erip.lib

deny contains sprintf("%s: may gain rights", [one.name]) if {
	some one in lib.containers
	not one.security.allowPrivilegeEscalation == false
}

deny contains sprintf("%s: privileged", [one.name]) if {
	some one in lib.containers
	one.security.privileged
}
