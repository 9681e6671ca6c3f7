"""Every object that ships is one that a strict server of Kubernetes takes, and a wrong name or type is named."""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from erip.ops.kubernetes import kustomize, schemas
from tests.support import manifests

OVERLAYS: Final = sorted(manifests.OVERLAYS.iterdir())
COMPONENTS: Final = sorted(manifests.COMPONENTS.iterdir())
#: kinds of operators
OPERATORS: Final = {
    ("barmancloud.cnpg.io/v1", "ObjectStore"),
    ("cert-manager.io/v1", "Certificate"),
    ("cert-manager.io/v1", "Issuer"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1alpha1", "ScrapeConfig"),
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("postgresql.cnpg.io/v1", "ScheduledBackup"),
}


def everything() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for path in OVERLAYS:
        yield path.name, kustomize.documents(path)
    for path in COMPONENTS:
        yield path.name, kustomize.documents(manifests.OVERLAYS / "production", components=[path])


EVERYTHING: Final = dict(everything())


@pytest.mark.parametrize("name", EVERYTHING)
def test_kubernetes_knows_every_object(name: str) -> None:
    looked = schemas.look(EVERYTHING[name])
    assert (looked.faults, looked.unread, looked.unknown) == ((), (), frozenset())


def test_our_schemas_are_of_the_kinds_that_ship_and_the_page_names_them() -> None:
    used = {(one["apiVersion"], one["kind"]) for documents in EVERYTHING.values() for one in documents}
    assert schemas.ours().keys() == OPERATORS
    assert used > OPERATORS
    page = (manifests.ROOT / "docs/how-to/kubernetes.md").read_text()
    assert [kind for _, kind in OPERATORS if f"`{kind}`" not in page] == []
    assert f"Kubernetes {schemas.release()}" in page


def beyond(ours: Any, theirs: Any, way: str = "spec") -> Iterator[str]:
    """Where our schema lets pass what the operator's does not."""
    if theirs.get("x-kubernetes-preserve-unknown-fields"):
        return
    if "type" in ours and "type" in theirs and ours["type"] != theirs["type"]:
        yield f"{way}: {ours['type']} is {theirs['type']} there"
    if missing := set(theirs.get("required", ())) - set(ours.get("required", ())):
        yield f"{way}: {sorted(missing)} must be there"
    if "enum" in theirs and not set(ours.get("enum", ("anything",))) <= set(theirs["enum"]):
        yield f"{way}: one of {theirs['enum']}"
    for name, one in ours.get("properties", {}).items():
        known = theirs.get("properties", {})
        if name not in known and "properties" in theirs:
            yield f"{way}: there is no {name}"
        elif name in known:
            yield from beyond(one, known[name], f"{way}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(ours.get(name), dict) and isinstance(theirs.get(name), dict):
            yield from beyond(ours[name], theirs[name], f"{way}[]")


def test_operators_know_their_kinds_and_what_our_schemas_say_of_them() -> None:
    """With the definitions of cert-manager, CloudNativePG, KEDA, Prometheus' operator and External Secrets."""
    folder = os.environ.get("ERIP_TEST_CRDS")
    if folder is None:
        pytest.skip("ERIP_TEST_CRDS names no folder of CustomResourceDefinitions, so our schemas alone are asked")
    custom = schemas.definitions(Path(folder))
    for name, documents in EVERYTHING.items():
        looked = schemas.look(documents, custom)
        assert (looked.faults, looked.unread, looked.unknown) == ((), (), frozenset()), name
    for kind, one in schemas.ours().items():
        assert list(beyond(one, custom[kind]["properties"]["spec"])) == [], kind


# --- what is refused --------------------------------------------------------------------------------------

#: maps whose names are free
FREE: Final = {
    *("labels", "matchLabels", "podSelector", "data", "requests", "limits", "selector", "annotations", "metadata"),
    "parameters",
}


def places(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each map in it whose names are Kubernetes'."""
    if isinstance(node, dict):
        yield way
        for name, value in node.items():
            if name not in FREE:
                yield from places(value, (*way, name))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from places(value, (*way, at))


def test_a_wrong_name_is_named_wherever_it_stands() -> None:
    tried = of_operators = 0
    everything = {kustomize.key_of(one): one for documents in EVERYTHING.values() for one in documents}
    for one in everything.values():
        if one["kind"] in ("ConfigMap", "ExternalSecret"):
            continue
        broken = copy.deepcopy(one)
        ways = list(places(one))
        for way in ways:
            at: Any = broken
            for step in way:
                at = at[step]
            at["erips"] = 1
        looked = schemas.look([broken])
        found = looked.faults + looked.unread
        of_operators += bool(looked.unread)
        for way in ways:
            begin = f"{one['kind']}/{one['metadata']['name']}: {'.'.join(map(str, way))}: "
            assert any(fault.startswith(begin) and "'erips'" in fault for fault in found), way
        tried += len(ways)
    assert tried > 500
    assert of_operators > 20


def test_a_wrong_value_of_an_operators_kind_is_a_fault_and_a_name_that_only_it_knows_is_unread() -> None:
    (cluster,) = [one for one in copy.deepcopy(EVERYTHING["cloudnative-pg"]) if one["kind"] == "Cluster"]
    cluster["spec"]["walStorage"] = {"size": "10Gi"}
    cluster["spec"]["postgresql"]["synchronous"]["method"] = "all"
    cluster["spec"]["postgresql"]["parameters"]["max_connections"] = 300
    del cluster["spec"]["instances"]
    looked = schemas.look([cluster])
    assert looked.unread == ("Cluster/erip-db: spec: 'walStorage'",)
    places = [
        "postgresql.synchronous.method: 'all'",
        "parameters.max_connections: 300",
        "spec: 'instances' is a required",
    ]
    assert [place for place in places if not any(place in one for one in looked.faults)] == []
    assert len(looked.faults) == 3


def test_every_fault_is_named_at_once_with_its_place() -> None:
    (web,) = [
        one
        for one in copy.deepcopy(EVERYTHING["production"])
        if one["metadata"]["name"] == "erip-web" and one["kind"] == "Deployment"
    ]
    web["spec"]["replicas"] = "two"
    container = web["spec"]["template"]["spec"]["containers"][0]
    container["livenesProbe"] = container.pop("livenessProbe")
    del container["name"]
    found = schemas.look([web]).faults
    assert len(found) == 3
    for place in ("spec.replicas: 'two'", "containers.0: Additional properties", "containers.0: 'name' is a required"):
        assert any(place in one for one in found), place


# --- definitions of operators -----------------------------------------------------------------------------

SCHEMA: Final = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "named": {"type": "object", "additionalProperties": {"type": "string"}},
                "several": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
                "absent": {"type": "string", "nullable": True},
            },
        }
    },
}
DEFINITION: Final = {
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {
        "group": "example.org",
        "names": {"kind": "Thing"},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}}],
    },
}


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"size": 1, "free": {"x": 1}, "named": {"x": "y"}, "several": [{"a": 1}], "absent": None}, None),
        ({"size": "1Gi"}, None),
        ({}, "spec: 'size' is a required"),
        ({"size": 1.5}, "spec.size: 1.5"),
        ({"size": 1, "other": 1}, "spec: Additional properties"),
        ({"size": 1, "named": {"x": 1}}, "spec.named.x: 1"),
        ({"size": 1, "several": [{"b": 1}]}, "spec.several.0: Additional properties"),
        ({"size": None}, "spec.size: None"),
    ],
)
def test_a_definition_is_read_as_strictly_as_the_server_reads_it(spec: Any, place: str | None, tmp_path: Path) -> None:
    (tmp_path / "crds.yaml").write_text(yaml.safe_dump({"kind": "List", "items": [DEFINITION, {"kind": "Service"}]}))
    custom = schemas.definitions(tmp_path)
    assert set(custom) == {("example.org/v1", "Thing")}
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": spec}
    looked = schemas.look([thing], custom)
    assert not looked.unknown
    assert (place is None) is (looked.faults == ())
    assert place is None or f"Thing/one: {place}" in looked.faults[0]
    assert schemas.look([thing]).unknown == {("example.org/v1", "Thing")}
