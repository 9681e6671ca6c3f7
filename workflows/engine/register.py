"""The register of processing: which sensitive data workflows and events hold, generated from their schemas.

A property that is `sensitive: true` may say why beside it: `title`, `description`, `purpose` and `basis`. Nobody has to
keep a list by hand that says something else than what runs.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import F

from workflows import registry
from workflows.core.schema_cost import pointed_to
from workflows.graphs import graph_of
from workflows.models import WorkflowVersion

_NAMED = ("title", "description", "purpose", "basis")
#: schemas on the way to a field
_DEEPEST = 12


Lists = Callable[[], list[dict[str, Any]]]
_others: list[Lists] = []


def also_lists(entries: Lists) -> Lists:
    """Decorator: the register has these entries, too."""
    _others.append(entries)
    return entries


def register() -> list[dict[str, Any]]:
    """The workflows whose latest version handles sensitive data, by name, each with the fields that do; then the types
    of events."""
    found = []
    latest = WorkflowVersion.objects.filter(number=F("definition__latest")).order_by("definition__name")
    for pk, name, number, space in latest.values_list("pk", "definition__name", "number", "definition__space"):
        graph = graph_of(pk)
        if not graph.seals:
            continue
        fields = [{"where": f"input{path}", **told} for path, told in fields_of(graph.input_schema)]
        known = registry.all()
        for id, node in graph.steps.items():
            if node.work is not None and node.work.uses in known and known[node.work.uses].sealed:
                schema = known[node.work.uses].output_schema
                fields += [{"where": f"steps.{id}.output{path}", **told} for path, told in fields_of(schema)]
        found.append({"workflow": name, "version": number, "space": space, "fields": fields})
    return found + [entry for entries in _others for entry in entries()]


def fields_of(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each sensitive part of what a schema describes: its path, and what the schema says of it."""
    yield from dict(_fields(schema, schema, "", 0)).items()


def _fields(schema: Any, root: Any, path: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return
    if schema.get("sensitive") is True or schema.get("subject") is True:
        said = {name: str(schema.get(name, "")) for name in _NAMED}
        yield path, {"subject": schema.get("subject") is True, **said}
        return
    below: list[tuple[str, Any]] = []
    properties = schema.get("properties")
    if isinstance(properties, dict):
        below += [(f"{path}.{key}", one) for key, one in properties.items()]
    below += [(f"{path}.*", schema.get("additionalProperties")), (f"{path}[]", schema.get("items"))]
    for key in ("prefixItems", "items"):
        below += [(f"{path}[]", one) for one in schema.get(key) or () if isinstance(schema.get(key), list)]
    for key in ("allOf", "anyOf", "oneOf"):
        below += [(path, one) for one in schema.get(key) or () if isinstance(schema.get(key), list)]
    below += [(path, schema.get("then")), (path, schema.get("else"))]
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
        below.append((path, pointed_to(root, reference)))
    for where, one in below:
        yield from _fields(one, root, where, depth + 1)
