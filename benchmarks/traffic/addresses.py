"""Which operation of the API a request was for, and what is needed to ask for it again: by the OpenAPI document."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson
from django.http import HttpRequest

from erip.foundation.http import documents

#: characters of a path that is looked up
_LONGEST: Final = 2_000
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Address:
    """One operation."""

    method: str
    #: `/api/v1/runs/{id}`
    template: str
    #: its operationId, `getRun`
    name: str
    #: whether the answer has no end
    stream: bool
    #: whether it needs a body
    body: bool
    #: that of its body; "": it takes none
    content_type: str
    #: names of the query's parameters that are required
    required: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """One part of the paths. any: what comes below a placeholder."""

    parts: "dict[str, _Node]"
    any: "_Node | None"
    operations: dict[str, Address]


class Addresses:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._root = _Node({}, None, {})
        self._by_name: dict[str, Address] = {}
        for template, item in document["paths"].items():
            for method in _METHODS:
                if method in item:
                    self._add(template, method.upper(), item[method])

    def _add(self, template: str, method: str, operation: Mapping[str, Any]) -> None:
        contents = {kind for answer in operation["responses"].values() for kind in answer.get("content", {})}
        address = Address(
            method,
            template,
            operation["operationId"],
            "text/event-stream" in contents,
            bool(operation.get("requestBody", {}).get("required")),
            next(iter(operation.get("requestBody", {}).get("content", {})), ""),
            tuple(
                one["name"] for one in operation.get("parameters", []) if one["in"] == "query" and one.get("required")
            ),
        )
        node = self._root
        for part in _parts(template):
            if part.startswith("{"):
                node.any = node.any or _Node({}, None, {})
                node = node.any
            else:
                node = node.parts.setdefault(part, _Node({}, None, {}))
        node.operations[method] = address

    def find(self, method: str, path: str) -> Address | None:
        """The operation of a path, `/api/v1/runs/1?x=2`, or of a route, `/api/v1/runs/{id}`; None: it is none of the
        API's. Costs at most one look for each part of the path."""
        if len(path) > _LONGEST:
            return None
        # A written-out part comes before a placeholder; only where it leads nowhere is the other looked at.
        return next(_found(self._root, list(_parts(path.partition("?")[0])), method), None)

    def lister(self, template: str, parameter: str) -> tuple[str, str] | None:
        """The path of a list that has values for a parameter, and their place in it: (`/api/v1/runs`, `items.id`).
        None: there is none that needs nothing to be known."""
        # A parameter of the query stands below its list, too: `/api/v1/metrics/query?metric=`.
        path = template.partition(f"/{{{parameter}}}")[0]
        path = template.rpartition("/")[0] if path == template else path
        if "{" in path or self.find("GET", path) is None:
            return None
        operation = self._document["paths"].get(path, {}).get("get")
        if operation is None:
            return None
        schema = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        items = self._resolved(self._resolved(schema).get("properties", {}).get("items", {})).get("items", {})
        properties = self._resolved(items).get("properties", {})
        # Some addresses call the id of what they list a number.
        place = "id" if parameter == "number" and parameter not in properties else parameter
        return (path, f"items.{place}") if place in properties else None

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        name = schema.get("$ref", "") if isinstance(schema, dict) else ""
        if name:
            return dict(self._document["components"]["schemas"][name.rpartition("/")[2]])
        return dict(schema)


def _found(node: _Node, parts: list[str], method: str) -> Iterator[Address]:
    if not parts:
        if method in node.operations:
            yield node.operations[method]
        return
    if (inner := node.parts.get(parts[0])) is not None:
        yield from _found(inner, parts[1:], method)
    if node.any is not None:
        yield from _found(node.any, parts[1:], method)


def _parts(path: str) -> Iterator[str]:
    return (part for part in path.split("/") if part)


@cache
def addresses() -> Addresses:
    """Those of this release."""
    request = HttpRequest()
    request.method = "GET"
    return Addresses(orjson.loads(documents.openapi(request).content))
