# METADATA
# title: no-shadow
# description: What a container says of a setting wins over the settings of all, so the overlay's value would silently do nothing.
package erip.no_shadow

import rego.v1

import data.erip.lib

deny contains sprintf("%s: %s is set here and in the ConfigMap %s", [one.name, variable.name, source.configMapRef.name]) if {
	some one in lib.containers
	some source in object.get(one.spec, "envFrom", [])
	some document in input.documents
	document.kind == "ConfigMap"
	document.metadata.name == source.configMapRef.name
	some variable in object.get(one.spec, "env", [])
	variable.name in object.keys(object.get(document, "data", {}))
}
