# METADATA
# title: ends
# description: A process is killed in the midst of its work when nobody said how long it takes to end.
package erip.ends

import rego.v1

import data.erip.lib

deny contains sprintf("%s: does not say how long it takes to end", [pod.name]) if {
	some pod in lib.pods
	not object.get(pod.spec, "terminationGracePeriodSeconds", 0) > 0
}
