"""The Helm chart is what deploy/k8s makes of it, and makes what deploy/k8s makes."""

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from erip.ops.kubernetes import chart, chart_examples, kustomize, policy, schemas
from tests.support import charts, manifests

VALUES: Final = charts.defaults()
SCHEMA: Final = json.loads((chart.FOLDER / "values.schema.json").read_text())
COMPONENTS: Final = chart.COMPONENTS


def by_key(documents: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {kustomize.key_of(one): one for one in documents}


def changed(**components: bool) -> dict[str, Any]:
    values = copy.deepcopy(VALUES)
    values["components"].update(components)
    return values


def by_helm(values: dict[str, Any], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    command = [charts.helm(), "template", "erip", str(chart.FOLDER), "-n", "erip", "-f", str(folder / "values.yaml")]
    # It keeps things in the home of who calls it.
    home = {name: str(folder / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, env=home, timeout=120)


def as_the_chart_has_it(documents: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What kustomize makes, with the three differences that there are."""
    found = by_key(copy.deepcopy(documents))
    # Helm keeps its own record in the namespace, which must be there before.
    del found["Namespace", "erip"]
    # A Job does not change: each revision has one of its own.
    job = found.pop(("Job", "erip-migrate"))
    job["metadata"]["name"] = "erip-migrate-1"
    found["Job", "erip-migrate-1"] = job
    # Pods of the release before go on with their settings.
    (settings,) = [one for (kind, _), one in found.items() if kind == "ConfigMap"]
    settings["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    return found


def test_as_it_is_it_makes_what_kustomize_makes_for_production() -> None:
    made = by_key(charts.render(VALUES))
    assert made == as_the_chart_has_it(kustomize.documents(manifests.OVERLAYS / "production"))


@pytest.mark.parametrize("component", COMPONENTS)
def test_with_a_component_it_makes_what_kustomize_makes(component: str) -> None:
    made = by_key(charts.render(changed(**{COMPONENTS[component]: True})))
    folders = [manifests.COMPONENTS / component]
    assert made == as_the_chart_has_it(kustomize.documents(manifests.OVERLAYS / "production", components=folders))


def test_every_component_is_part_of_it() -> None:
    assert set(COMPONENTS) == {path.name for path in manifests.COMPONENTS.iterdir()}


# --- values -----------------------------------------------------------------------------------------------


def leaves(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from leaves(value, (*way, name))
    else:
        yield way


def set_at(values: Any, way: tuple[Any, ...], value: Any) -> None:
    for step in way[:-1]:
        values = values[step]
    values[way[-1]] = value


def get_at(values: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        values = values[step]
    return values


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [*value, value[0]] if isinstance(value[0], dict) else ["other.example.org", *value]
    return f"{value}0"


def test_every_value_changes_something() -> None:
    """With all components, but for KEDA where the autoscaler is asked about."""
    everything = {keda: changed(**dict.fromkeys(COMPONENTS.values(), True) | {"keda": keda}) for keda in (True, False)}
    before = {keda: charts.texts(values) for keda, values in everything.items()}
    # What decides whether anything is made at all is no part of it.
    ways = [way for way in leaves(VALUES) if way != ("production",)]
    assert len(ways) > 70
    for way in ways:
        told = []
        for keda, values in everything.items():
            one = copy.deepcopy(values)
            set_at(one, way, other(get_at(one, way)))
            told.append(charts.texts(one) != before[keda])
        assert any(told), ".".join(way)


def test_a_value_cannot_change_what_stands_around_it() -> None:
    values = copy.deepcopy(VALUES)
    hostile = '"}\n---\nkind: Pod\n{{ .Values }} #\\'
    values["secrets"]["platform"] = hostile
    values["image"]["tag"] = hostile
    values["settings"]["ERIP_LOG_LEVEL"] = hostile
    made = charts.render(values)
    assert len(made) == len(charts.render(VALUES))
    (web,) = [one for one in made if kustomize.key_of(one) == ("Deployment", "erip-web")]
    assert kustomize.containers(web)[0]["image"] == f"registry.example.org/erip:{hostile}"


def test_in_another_namespace_nothing_speaks_of_the_first() -> None:
    made = charts.render(changed(cloudnativePg=True), namespace="risk", revision=7)
    assert {one["metadata"].get("namespace", "risk") for one in made} == {"risk"}
    names = [name for one in made if one["kind"] == "Certificate" for name in one["spec"].get("dnsNames", [])]
    assert "erip-web.risk.svc" in names
    assert [name for name in names if "erip" in name.split(".")] == []
    assert ("Job", "erip-migrate-7") in by_key(made)
    assert policy.faults(made) == []
    assert schemas.look(made).faults == ()


def test_the_values_that_ship_are_right() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(VALUES)) == []


#: (what is set, to what)
BAD: Final[list[tuple[str, Any]]] = [
    ("image.tag", "latest"),
    ("image.tag", "a b"),
    ("image.tag", 1),
    ("image.repository", "https://registry/erip"),
    ("image.repositry", "erip"),
    ("hosts", []),
    ("hosts", ["https://erip.example.org"]),
    ("settings.ERIP_SECRET_KEY", "x" * 60),
    ("settings.DATABASE_URL", "postgres://a:b@c/d"),
    ("settings.ERIP_PROCESSES", 24),
    ("settings.ERIP_PROCESSES", "many"),
    ("settings.ERIP_PROCESES", "24"),
    ("settings.ERIP_SSL_REDIRECT", "perhaps"),
    # The container sets it itself.
    ("settings.ERIP_WEB_WORKERS", "4"),
    ("secrets.platform", "Not A Name"),
    ("secrets.platfrm", "erip"),
    ("replicas.leader", -1),
    ("replicas.leader", "2"),
    ("replicas.web.min", 0),
    ("replicas.web.cpu", 101),
    ("resources.web", {"requests": {"cpu": 1, "memory": "1Gi"}}),
    ("resources.web.limits.memory", "lots"),
    ("resources.web.limits.memory", 0),
    ("resources.web.requests.disk", "1Gi"),
    ("network.ingress", []),
    ("network.ingress", [{}]),
    ("components.keda", "yes"),
    ("components.kedda", True),
    ("postgres.storage", {}),
    ("prometheus.address", "prometheus:9090"),
    ("externalSecrets.store.kind", "Vault"),
    ("priorityClasses", None),
    ("replica", {}),
]


@pytest.mark.parametrize(("path", "value"), BAD)
def test_a_bad_value_is_named_with_its_place(path: str, value: Any) -> None:
    values = copy.deepcopy(VALUES)
    way = tuple(path.split("."))
    set_at(values, way, value)
    (error,) = jsonschema.Draft7Validator(SCHEMA).iter_errors(values)
    place = tuple(error.absolute_path)
    # A name that is not known is named by what it stands in.
    assert place[: len(way)] == way or (place == way[:-1] and way[-1] in error.message) or place == (*way, 0)


def test_the_values_on_the_page_are_right_and_make_what_it_says() -> None:
    page = (manifests.ROOT / "docs/how-to/kubernetes.md").read_text()
    _, _, rest = page.partition("test_chart.py renders them -->\n```yaml\n")
    values = laid_over(copy.deepcopy(VALUES), yaml.safe_load(rest.partition("```")[0]))
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(values)) == []
    made = by_key(charts.render(values))
    assert "erip-autoscaler" not in {name for _, name in made}
    assert made["Cluster", "erip-db"]["spec"]["storage"] == {"size": "200Gi", "storageClass": "fast"}
    (settings,) = [one["data"] for (kind, _), one in made.items() if kind == "ConfigMap"]
    assert (settings["ERIP_PUBLIC_URL"], settings["ERIP_AUTOSCALE_MAX"]) == ("https://risk.acme.internal", "80")
    assert kustomize.containers(made["Deployment", "erip-web"])[0]["image"].startswith(
        "registry.acme.internal/erip:0.2.0@sha256:"
    )
    assert chart_examples.left(values) == []


def laid_over(values: Any, more: Any) -> Any:
    """As helm does it: maps are merged, all else is replaced."""
    for name, one in more.items():
        values[name] = laid_over(values[name], one) if isinstance(one, dict) and name in values else one
    return values


# --- examples ---------------------------------------------------------------------------------------------


def mine(**components: bool) -> dict[str, Any]:
    """Values without an example among them."""
    values = changed(**components)
    values["hosts"] = ["risk.acme.internal", "risk.acme.internal:8443"]
    values["image"] = {"repository": "registry.acme.internal:5000/erip", "tag": "0.2.0@sha256:" + "0a" * 32}
    values["settings"]["ERIP_TRUSTED_PROXIES"] = "10.7.0.0/24"
    values["postgres"]["backup"]["store"]["destinationPath"] = "s3://acme-erip/"
    return values


#: (what is an example, or lacking; where it stands)
LEFT: Final[list[tuple[str, Any]]] = [
    *(
        ("hosts", [host])
        for host in (
            "erip.example.org",
            "example.com",
            "a.example:8443",
            "erip.test",
            "x.invalid",
            "ERIP.Example.ORG",
            "example.com.:8443",
        )
    ),
    ("hosts", ["risk.acme.internal", "erip.example.net"]),
    *(("image.repository", name) for name in ("registry.example.org/erip", "example.com:5000/erip")),
    *(("image.tag", tag) for tag in ("0.1.0", "0.1.0@sha256:0a", None)),
    *(("settings.ERIP_TRUSTED_PROXIES", one) for one in ("10.0.0.0/16", "", None)),
    ("settings.ERIP_PUBLIC_URL", "https://erip.example.org/"),
    ("settings.ERIP_ALLOWED_HOSTS", "risk.acme.internal,erip.example.org"),
    ("postgres.backup.store.destinationPath", "s3://erip-backup.example.org/"),
]


@pytest.mark.parametrize(("path", "value"), LEFT)
def test_an_example_that_was_left_is_refused_with_its_place(path: str, value: Any) -> None:
    values = mine(cloudnativePg=True)
    assert chart_examples.left(values) == []
    set_at(values, tuple(path.split(".")), value)
    (found,) = chart_examples.left(values)
    assert found.startswith(f"{path}: put ")
    assert chart_examples.left(values | {"production": False}) == []


def test_names_that_only_look_like_examples_are_right() -> None:
    values = mine()
    values["hosts"] = ["myexample.org", "example.org.acme.internal", "test.acme.internal", "risk.example.de"]
    values["postgres"]["backup"]["store"]["destinationPath"] = "s3://backup.example.org/"  # there is no such component
    assert chart_examples.left(values) == []


def test_the_values_that_ship_are_refused_in_production() -> None:
    assert VALUES["production"]
    places = [one.partition(":")[0] for one in chart_examples.left(VALUES)]
    assert places == ["hosts", "image.repository", "image.tag", "settings.ERIP_TRUSTED_PROXIES"]


# --- helm itself, where it is ------------------------------------------------------------------------------


def test_helm_makes_the_same(tmp_path: Path) -> None:
    everything = changed(**dict.fromkeys(COMPONENTS.values(), True))
    set_at(everything, ("settings", "ERIP_LOG_LEVEL"), "DEBUG")
    everything["hosts"] = ["risk.example.org", "erip.example.org"]
    everything["replicas"]["leader"] = 3
    everything["image"]["tag"] = "0.2.0@sha256:" + "0a" * 32
    for values in (VALUES | {"production": False}, everything | {"production": False}, mine(cloudnativePg=True)):
        done = by_helm(values, tmp_path)
        assert done.returncode == 0, done.stderr[-2_000:]
        made = by_key([one for one in yaml.safe_load_all(done.stdout) if one])
        assert made == by_key(charts.render(values))


def test_helm_names_bad_values_at_once(tmp_path: Path) -> None:
    values = copy.deepcopy(VALUES)
    asked = [("image.tag", "latest"), ("settings.ERIP_PROCESSES", "many"), ("replicas.leader", -1), ("hosts", [])]
    for path, value in asked:
        set_at(values, tuple(path.split(".")), value)
    done = by_helm(values, tmp_path)
    assert done.returncode != 0
    assert [path for path, _ in asked if f"at '/{path.replace('.', '/')}'" not in done.stderr] == []


def test_helm_refuses_examples_with_what_to_name_instead(tmp_path: Path) -> None:
    for values in (VALUES, *(_left(path, value) for path, value in LEFT if value is not None)):
        done = by_helm(values, tmp_path)
        said = chart_examples.left(values)
        if done.returncode == 0 or [one for one in said if f"- {one}" not in done.stderr]:
            # A digest that is none is refused by the schema already.
            assert "at '/image/tag'" in done.stderr, (said, done.stderr)


def _left(path: str, value: Any) -> dict[str, Any]:
    values = mine(cloudnativePg=True)
    set_at(values, tuple(path.split(".")), value)
    return values
