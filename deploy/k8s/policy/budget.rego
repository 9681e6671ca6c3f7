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
	pods_of(budget.minAvailable, pod) >= lib.replicas(pod)
}

deny contains sprintf("%s: its PodDisruptionBudget lets no pod go", [pod.name]) if {
	some pod in lib.pods
	some budget in budgets(pod)
	budget.maxUnavailable in {0, "0%"}
}

deny contains sprintf("%s: its PodDisruptionBudget lets every pod go", [pod.name]) if {
	some pod in lib.pods
	lib.several(pod)
	some budget in budgets(pod)
	least(budget, pod) <= 0
}

least(budget, pod) := pods_of(budget.minAvailable, pod)

least(budget, pod) := lib.replicas(pod) - pods_of(budget.maxUnavailable, pod)

# A share of the pods is rounded up: kubernetes.io/docs/tasks/run-application/configure-pdb.
pods_of(value, _) := value if is_number(value)

pods_of(value, pod) := ceil((to_number(trim_suffix(value, "%")) * lib.replicas(pod)) / 100) if is_string(value)

budgets(pod) := [one.spec |
	some one in input.documents
	one.kind == "PodDisruptionBudget"
	lib.namespace(one) == pod.namespace
	lib.selects(one.spec.selector, pod.labels)
]
