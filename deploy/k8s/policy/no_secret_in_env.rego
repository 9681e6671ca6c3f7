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

# By its name, or as the way to something that is as good as one.
secret(variable) if {
	value := object.get(variable, "value", "")
	value != ""
	regex.match(`(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE_?KEY|BASIC_AUTH|_KEY$|^KEY$|_KEY_|_DSN$)`, variable.name)
	not beside(variable.name)
	not startswith(value, "/run/")
	not lower(value) in {"true", "false", "yes", "no", "on", "off"}
}

# Settings of the platform whose addresses and words let in whoever knows them.
secret(variable) if {
	object.get(variable, "value", "") != ""
	regex.match(`^ERIP_.*(_LOGIN|_PASS|_WEBHOOKS?|_SLACK|_TEAMS|_PAGERDUTY|_HEADERS|_KEYS|_HEARTBEAT_URL)$`, variable.name)
}

# What is said of a secret, and not the secret: where it is, what it is called, who made it, how long it lives.
beside(name) if regex.match(`_(FILE|PATH|DIR|DIRECTORY|FOLDER|NAME|REF|KEY_ID|ISSUERS?|AUDIENCES?|URL|ENDPOINT|LIFETIME|TTL|SECONDS|MINUTES|HOURS|DAYS|SIZE|ALGORITHM|TYPE)$`, name)

# scheme://user:password@host
secret(variable) if regex.match(`://[^/@ ]*:[^/@ ]+@`, object.get(variable, "value", ""))

# A ConfigMap is read by more people than a Secret.
deny contains sprintf("ConfigMap/%s: %s is a secret", [document.metadata.name, name]) if {
	some document in input.documents
	document.kind == "ConfigMap"
	some name, value in object.get(document, "data", {})
	secret({"name": name, "value": value})
}

# What a process is started with stands in the list of processes as well.
deny contains sprintf("%s: is started with a secret", [one.name]) if {
	some one in lib.containers
	some word in lib.words(one)
	secret({"name": "", "value": word})
}

deny contains sprintf("%s: is started with a secret", [one.name]) if {
	some one in lib.containers
	some word in lib.words(one)
	found := regex.find_all_string_submatch_n(`^--?([A-Za-z0-9_-]+)=(.*)$`, word, 1)
	secret({"name": variable(found[0][1]), "value": found[0][2]})
}

deny contains sprintf("%s: is started with a secret", [one.name]) if {
	some one in lib.containers
	given := lib.words(one)
	some at, word in given
	regex.match(`^--?[A-Za-z0-9_-]+$`, word)
	not startswith(given[at + 1], "-")
	secret({"name": variable(trim_left(word, "-")), "value": given[at + 1]})
}

variable(name) := upper(replace(name, "-", "_"))

deny contains sprintf("Secret/%s: its content stands here", [document.metadata.name]) if {
	some document in input.documents
	document.kind == "Secret"
	some what in ["data", "stringData"]
	count(object.get(document, what, {})) > 0
}
