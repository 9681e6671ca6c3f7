# METADATA
# title: priority
# description: Without one, general work may push out what serves requests when nodes are full.
package erip.priority

import rego.v1

import data.erip.lib

deny contains sprintf("%s: no priority class that there is", [pod.name]) if {
	some pod in lib.pods
	not object.get(pod.spec, "priorityClassName", "") in known
}

known contains one.metadata.name if {
	some one in input.documents
	one.kind == "PriorityClass"
}
