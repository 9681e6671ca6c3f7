# METADATA
# title: no-capabilities
# description: None of our processes needs any right of the kernel's; each one is a way out.
package erip.no_capabilities

import rego.v1

import data.erip.lib

deny contains sprintf("%s: keeps capabilities", [one.name]) if {
	some one in lib.containers
	not "ALL" in object.get(object.get(one.security, "capabilities", {}), "drop", [])
}

deny contains sprintf("%s: adds the capability %s", [one.name, added]) if {
	some one in lib.containers
	some added in object.get(object.get(one.security, "capabilities", {}), "add", [])
}
