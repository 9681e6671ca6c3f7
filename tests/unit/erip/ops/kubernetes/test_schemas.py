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
#: kinds of operators, whose schemas no package holds
UNKNOWN: Final = {
    ("cert-manager.io/v1", "Certificate"),
    ("cert-manager.io/v1", "Issuer"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com/v1alpha1", "ScrapeConfig"),
    ("postgresql.cnpg.io/v1", "Cluster"),
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
    assert looked.faults == ()
    assert looked.unknown <= UNKNOWN


def test_the_kinds_without_a_schema_are_those_that_the_page_names() -> None:
    found = {kind for documents in EVERYTHING.values() for kind in schemas.look(documents).unknown}
    assert found == UNKNOWN
    page = (manifests.ROOT / "docs/how-to/kubernetes.md").read_text()
    assert [kind for _, kind in UNKNOWN if f"`{kind}`" not in page] == []
    assert f"Kubernetes {schemas.release()}" in page


def test_operators_know_their_kinds() -> None:
    """With the definitions of cert-manager, CloudNativePG, KEDA, Prometheus' operator and External Secrets."""
    folder = os.environ.get("ERIP_TEST_CRDS")
    if folder is None:
        kinds = ", ".join(sorted(kind for _, kind in UNKNOWN))
        pytest.skip(f"no schema here of {kinds}: ERIP_TEST_CRDS names a folder of CustomResourceDefinitions")
    custom = schemas.definitions(Path(folder))
    for name, documents in EVERYTHING.items():
        looked = schemas.look(documents, custom)
        assert (looked.faults, looked.unknown) == ((), frozenset()), name


# --- what is refused --------------------------------------------------------------------------------------

#: maps whose names are free
FREE: Final = {
    *("labels", "matchLabels", "podSelector", "data", "requests", "limits", "selector", "annotations", "metadata"),
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
    tried = 0
    for one in EVERYTHING["production"]:
        if (one["apiVersion"], one["kind"]) in UNKNOWN or one["kind"] == "ConfigMap":
            continue
        broken = copy.deepcopy(one)
        ways = list(places(one))
        for way in ways:
            at: Any = broken
            for step in way:
                at = at[step]
            at["erips"] = 1
        found = schemas.look([broken]).faults
        for way in ways:
            begin = f"{one['kind']}/{one['metadata']['name']}: {'.'.join(map(str, way))}: "
            assert any(fault.startswith(begin) and "'erips'" in fault for fault in found), way
        tried += len(ways)
    assert tried > 400


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
