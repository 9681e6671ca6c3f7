# METADATA
# title: read-only-root
# description: Who gets into a process leaves nothing behind in its image.
package erip.read_only_root

import rego.v1

import data.erip.lib

deny contains sprintf("%s: may write to its image", [one.name]) if {
	some one in lib.containers
	not one.security.readOnlyRootFilesystem == true
}
