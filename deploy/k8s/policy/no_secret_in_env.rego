# METADATA
# title: no-secret-in-env
# description: What stands in a manifest is in git, in the API server and on every screen that shows the pod; secrets are files.
package erip.no_secret_in_env

import rego.v1

import data.erip.lib

deny contains sprintf("%s: %s has a secret as its value", [one.name, variable.name]) if {
	some one in lib.containers
	some variable in object.get(one.spec, "env", [])
	secret(variable)
}

# NAME_FILE, and a certificate's place, are names of files.
secret(variable) if {
	value := object.get(variable, "value", "")
	value != ""
	regex.match(`(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE|BASIC_AUTH|_KEY$|^KEY$|_KEY_|_DSN$)`, variable.name)
	not startswith(value, "/run/")
}

# scheme://user:password@host
secret(variable) if regex.match(`://[^/@ ]*:[^/@ ]+@`, object.get(variable, "value", ""))

# A ConfigMap is read by more people than a Secret.
deny contains sprintf("ConfigMap/%s: %s is a secret", [document.metadata.name, name]) if {
	some document in input.documents
	document.kind == "ConfigMap"
	some name, value in object.get(document, "data", {})
	secret({"name": name, "value": value})
}
