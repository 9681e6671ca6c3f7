# METADATA
# title: limits
# description: A container that may take all memory of its node takes its neighbours down with it, and without requests nobody keeps room for it. A limit of CPU is not asked for - it would hold back a process while the node is idle.
package erip.limits

import rego.v1

import data.erip.lib

deny contains sprintf("%s: no %s of %s", [one.name, which, what]) if {
	some one in lib.containers
	some which, names in {"requests": ["cpu", "memory"], "limits": ["memory"]}
	some what in names
	not has(one.spec, which, what)
}

# 0 is no limit.
has(container, which, what) if {
	amount := container.resources[which][what]
	not regex.match(`^0*[.]?0*([eE][+-]?[0-9]+|[A-Za-z]*)$`, sprintf("%v", [amount]))
}
