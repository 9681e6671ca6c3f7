# METADATA
# title: known-kind
# description: Pods of a kind that no rule looks at would pass all of them.
package erip.known_kind

import rego.v1

import data.erip.lib

deny contains sprintf("%s/%s: has pods, and no rule knows its kind", [document.kind, document.metadata.name]) if {
	some document in input.documents
	not document.kind in lib.lasting | lib.ending
	has_pods(document)
}

has_pods(document) if document.spec.containers

has_pods(document) if document.spec.template.spec.containers

has_pods(document) if document.spec.jobTemplate
