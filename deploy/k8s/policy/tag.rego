# METADATA
# title: tag
# description: A name that means another image tomorrow cannot be rolled back to, and two pods may run two releases.
package erip.tag

import rego.v1

import data.erip.lib

deny contains sprintf("%s: %s has no tag, or latest", [one.name, one.spec.image]) if {
	some one in lib.containers
	not fixed(one.spec.image)
}

fixed(image) if regex.match(`@sha256:[0-9a-f]{64}$`, image)

fixed(image) if {
	regex.match(`:[A-Za-z0-9_][A-Za-z0-9_.-]*$`, image)
	not regex.match(`:latest$`, image)
}
