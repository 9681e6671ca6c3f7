# What the rules ask about: `input.documents` is all that an overlay makes. What is null there does not get here: it is
# absent, as Kubernetes reads it.
package erip.lib

import rego.v1

# Of kinds that keep their pods running, and of those that end.
lasting := {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"}

ending := {"Job", "CronJob"}

template(document) := document if document.kind == "Pod"

template(document) := document.spec.template if document.kind in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}

template(document) := document.spec.jobTemplate.spec.template if document.kind == "CronJob"

pods contains pod if {
	some document in input.documents
	document.kind in lasting | ending
	found := template(document)
	pod := {
		"name": sprintf("%s/%s", [document.kind, document.metadata.name]),
		"kind": document.kind,
		"namespace": namespace(document),
		"labels": object.get(object.get(found, "metadata", {}), "labels", {}),
		"replicas": object.get(document.spec, "replicas", -1),
		"spec": found.spec,
		"lasts": document.kind in lasting,
	}
}

containers contains container if {
	some pod in pods
	some group in ["initContainers", "containers", "ephemeralContainers"]
	some one in object.get(pod.spec, group, [])
	container := {
		"name": sprintf("%s: %s", [pod.name, one.name]),
		"replicas": pod.replicas,
		"spec": one,
		"pod_security": object.get(pod.spec, "securityContext", {}),
		"security": object.get(one, "securityContext", {}),
		# An init container that restarts always is one that lasts.
		"lasts": lasts(pod, group, one),
	}
}

default lasts(_, _, _) := false

lasts(pod, "containers", _) if pod.lasts

lasts(_, "initContainers", one) if one.restartPolicy == "Always"

# A label selector of Kubernetes. An operator that it does not have selects nothing, so the pod counts as not covered.
selects(selector, labels) if {
	every name, value in object.get(selector, "matchLabels", {}) {
		labels[name] == value
	}
	every one in object.get(selector, "matchExpressions", []) {
		meets(one, labels)
	}
}

meets(one, labels) if {
	one.operator == "In"
	labels[one.key] in one.values
}

meets(one, labels) if {
	one.operator == "NotIn"
	not object.get(labels, one.key, null) in one.values
}

meets(one, labels) if {
	one.operator == "Exists"
	one.key in object.keys(labels)
}

meets(one, labels) if {
	one.operator == "DoesNotExist"
	not one.key in object.keys(labels)
}

# What `kubectl apply --namespace` adds is the same for all that lacks one.
namespace(document) := object.get(document.metadata, "namespace", "")

# How many pods of a Deployment there are at least: what it says, or what scales it says, or one, as Kubernetes has it.
replicas(pod) := pod.replicas if pod.replicas >= 0

replicas(pod) := max({one.least | some one in scalers; one.of == pod.name} | {1}) if pod.replicas < 0

scalers contains {"of": target(one), "least": one.spec.minReplicas} if {
	some one in input.documents
	one.kind == "HorizontalPodAutoscaler"
}

scalers contains {"of": target(one), "least": one.spec.minReplicaCount} if {
	some one in input.documents
	one.kind == "ScaledObject"
}

# KEDA takes a Deployment where no kind is named.
target(one) := sprintf("%s/%s", [object.get(one.spec.scaleTargetRef, "kind", "Deployment"), one.spec.scaleTargetRef.name])

# Our own autoscaler, which keeps two at least.
scalers contains {"of": sprintf("Deployment/%s", [given[at + 1]]), "least": 2} if {
	some one in containers
	one.replicas != 0
	given := words(one)
	some at, word in given
	word == "--deployment"
}

scalers contains {"of": sprintf("Deployment/%s", [trim_prefix(word, "--deployment=")]), "least": 2} if {
	some one in containers
	one.replicas != 0
	some word in words(one)
	startswith(word, "--deployment=")
}

# What a container starts with.
words(container) := array.concat(object.get(container.spec, "command", []), object.get(container.spec, "args", []))

several(pod) if {
	pod.kind in {"Deployment", "StatefulSet", "ReplicaSet"}
	replicas(pod) > 1
}
