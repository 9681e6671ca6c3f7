# METADATA
# title: no-token
# description: Who gets into a pod must not be able to ask Kubernetes anything; only the autoscaler has to.
package erip.no_token

import rego.v1

import data.erip.lib

# Their reasons stand beside them in the manifests.
needed := {"Deployment/erip-autoscaler"}

deny contains sprintf("%s: has a token of Kubernetes", [pod.name]) if {
	some pod in lib.pods
	not pod.name in needed
	not pod.spec.automountServiceAccountToken == false
}

deny contains sprintf("%s: has a token of Kubernetes in its volume %s", [pod.name, volume.name]) if {
	some pod in lib.pods
	not pod.name in needed
	some volume in object.get(pod.spec, "volumes", [])
	some source in volume.projected.sources
	of_kubernetes(source.serviceAccountToken)
}

# A token for somebody else says so, and Kubernetes does not take it. Without a name it is for Kubernetes itself, whose
# own names (--api-audiences) begin so where nobody chose others.
of_kubernetes(token) if object.get(token, "audience", "") == ""

of_kubernetes(token) if lower(token.audience) == "api"

of_kubernetes(token) if {
	some part in ["kubernetes", "k8s", "container.googleapis.com", "oidc.eks.", "azmk8s.io", "oic.prod-aks"]
	contains(lower(token.audience), part)
}

# The account of the namespace is everybody's.
deny contains sprintf("%s: has a token, and no account of its own", [pod.name]) if {
	some pod in lib.pods
	pod.name in needed
	object.get(pod.spec, "serviceAccountName", "default") == "default"
}

deny contains sprintf("%s: lacks the token that it needs", [pod.name]) if {
	some pod in lib.pods
	pod.name in needed
	not pod.spec.automountServiceAccountToken == true
}
