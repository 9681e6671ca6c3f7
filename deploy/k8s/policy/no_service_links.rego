# METADATA
# title: no-service-links
# description: Kubernetes would put ERIP_WEB_PORT=tcp://... into the environment, which is a setting of ours.
package erip.no_service_links

import rego.v1

import data.erip.lib

deny contains sprintf("%s: gets addresses of services as settings", [pod.name]) if {
	some pod in lib.pods
	not pod.spec.enableServiceLinks == false
}
