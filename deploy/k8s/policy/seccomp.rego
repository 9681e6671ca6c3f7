# METADATA
# title: seccomp
# description: The container runtime's own profile shuts calls of the kernel that nothing here makes.
package erip.seccomp

import rego.v1

import data.erip.lib

deny contains sprintf("%s: no seccomp profile RuntimeDefault", [one.name]) if {
	some one in lib.containers
	not profile(one) == "RuntimeDefault"
}

profile(one) := one.security.seccompProfile.type

profile(one) := one.pod_security.seccompProfile.type if not "seccompProfile" in object.keys(one.security)
