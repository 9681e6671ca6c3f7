# METADATA
# title: budget
# description: A drained node must not take the last pod of a kind with it, and a budget that leaves no pod to be taken keeps every node from being drained.
package erip.budget

import rego.v1

import data.erip.lib

deny contains sprintf("%s: no PodDisruptionBudget", [pod.name]) if {
	some pod in lib.pods
	lib.several(pod)
	count(budgets(pod)) == 0
}

deny contains sprintf("%s: its PodDisruptionBudget lets no pod go", [pod.name]) if {
	some pod in lib.pods
	some budget in budgets(pod)
	budget.minAvailable >= lib.replicas(pod)
}

deny contains sprintf("%s: its PodDisruptionBudget lets no pod go", [pod.name]) if {
	some pod in lib.pods
	some budget in budgets(pod)
	budget.maxUnavailable in {0, "0%"}
}

budgets(pod) := [one.spec |
	some one in input.documents
	one.kind == "PodDisruptionBudget"
	one.metadata.namespace == pod.namespace
	lib.selects(one.spec.selector, pod.labels)
]
