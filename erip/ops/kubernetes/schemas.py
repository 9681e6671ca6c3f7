"""Asks of each object whether Kubernetes knows it: every name and type, as a strict server would.

Kubernetes' own kinds come from `kubernetes-validate`, which holds the schemas of each release. For operators' kinds
(cert-manager, CloudNativePG, KEDA and so on) there are none in a package: deploy/k8s/schemas has what our manifests use
of them. A name that is not there may still be one that the operator knows: it is called unread, which is no consent.
With the operators' own definitions, such as `kubectl get crd -o yaml`, nothing is left unread.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml
from kubernetes_validate import latest_version, utils
from referencing import Registry, Resource

from erip.ops.stack.state import ROOT

#: (apiVersion, kind)
Kind = tuple[str, str]
SCHEMAS: Final = ROOT / "deploy" / "k8s" / "schemas"
_FOLDER: Final = "kubernetes-json-schema/v{}-local-strict"


@dataclass(frozen=True, slots=True)
class Looked:
    """faults: `Deployment/erip-web: spec.replicas: 'two' is not of type 'integer'`, all of them.
    unknown: kinds that have no schema here. unread: `Cluster/erip-db: spec: 'walStorage'`, what our schema of an
    operator's kind leaves out. Neither is consent."""

    faults: tuple[str, ...]
    unknown: frozenset[Kind]
    unread: tuple[str, ...] = ()


def look(documents: Iterable[Mapping[str, Any]], custom: Mapping[Kind, Mapping[str, Any]] | None = None) -> Looked:
    """Look at all of them; `custom` are the schemas of operators' kinds (`definitions`), which come before ours."""
    faults, unread, unknown = [], [], set()
    for one in documents:
        kind = (one["apiVersion"], one["kind"])
        whole = _validator_of(*kind) or (_of(custom[kind]) if custom and kind in custom else None)
        validator = whole or _ours(kind)
        if validator is None:
            unknown.add(kind)
            continue
        # What cannot be read back from JSON, such as a date, is no object of Kubernetes.
        for error in validator.iter_errors(json.loads(json.dumps(one))):
            place = ".".join(str(step) for step in error.absolute_path)
            begin = f"{one['kind']}/{one['metadata']['name']}: {place}"
            if whole is None and error.validator == "additionalProperties":
                names = sorted(error.instance.keys() - error.schema["properties"].keys())
                unread.append(f"{begin}: {', '.join(map(repr, names))}")
            else:
                faults.append(f"{begin}: {error.message}")
    return Looked(tuple(faults), frozenset(unknown), tuple(unread))


@cache
def _validator_of(api_version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    # rbac.authorization.k8s.io/v1 is rbac-v1 there.
    api = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    group = api_version.rpartition("/")[0]
    if "." in group and not group.endswith(".k8s.io"):
        return None
    try:
        schema = _contents(f"{kind.lower()}-{api}.json")
    except FileNotFoundError:
        return None
    registry: Any = Resource.from_contents(schema) @ (_definitions() @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


@cache
def _definitions() -> Any:
    return Resource.from_contents(_contents("_definitions.json"))


def _contents(name: str) -> Any:
    version = latest_version()
    return utils.schema_contents(f"{_FOLDER.format(version)}/{name}", version)


def release() -> str:
    """The newest release of Kubernetes that there are schemas of, such as `1.37`."""
    return str(utils.major_minor(latest_version()))


# --- kinds of operators -----------------------------------------------------------------------------------


@cache
def ours() -> dict[Kind, dict[str, Any]]:
    """What deploy/k8s/schemas has: the schema of `spec` of each kind that our manifests use of an operator."""
    found = {}
    for path in sorted(SCHEMAS.glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text("utf-8")):
            if one:
                found[one["apiVersion"], one["kind"]] = one["spec"]
    return found


def _ours(kind: Kind) -> jsonschema.Draft202012Validator | None:
    spec = ours().get(kind)
    return (
        _of(_strict({"type": "object", "required": ["spec"], "properties": {"spec": spec}}, top=True)) if spec else None
    )


def definitions(folder: Path) -> dict[Kind, dict[str, Any]]:
    """The schemas of all CustomResourceDefinitions in the YAML files of a folder, made strict."""
    found = {}
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        for document in yaml.safe_load_all(path.read_text()):
            for one in _items(document):
                spec = one["spec"]
                for version in spec["versions"]:
                    kind = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    found[kind] = _strict(version["schema"]["openAPIV3Schema"], top=True)
    return found


def _items(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, dict):
        if document.get("kind") == "List":
            for one in document["items"]:
                yield from _items(one)
        elif document.get("kind") == "CustomResourceDefinition":
            yield document


def _strict(schema: Mapping[str, Any], *, top: bool = False) -> dict[str, Any]:
    """As the API server reads it: a name that is not there is refused, unless the schema says that it is kept."""
    made: dict[str, Any] = {key: value for key, value in schema.items() if not key.startswith("x-") and key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            made[key] = _strict(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            # They only narrow: names are in `properties`.
            made[key] = [dict(one) for one in schema[key]]
    if "properties" in schema:
        made["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    if top:
        # The server looks at these itself.
        own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
        made["properties"] = made.get("properties", {}) | own
    if made.pop("nullable", False) and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _of(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema)
