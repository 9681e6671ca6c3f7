"""The components of deploy/k8s, which an overlay may name: they build, and fit what they are added to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import resolve

from erip.management.commands.reference import metrics_page
from erip.ops.kubernetes import kustomize
from erip.settings import base
from tests.support import manifests, prometheus

COMPONENTS = sorted(path.name for path in manifests.COMPONENTS.iterdir())
PAGE = (manifests.ROOT / "docs/how-to/kubernetes.md").read_text()


def only(component: str, kind: str) -> dict[str, Any]:
    (found,) = [one for one in manifests.documents(manifests.COMPONENTS / component) if one["kind"] == kind]
    return found


def built(component: str) -> list[dict[str, Any]]:
    """The overlay for production with the component: test_kustomize.py says that kubectl builds the same."""
    return kustomize.documents(manifests.OVERLAYS / "production", components=[manifests.COMPONENTS / component])


def names(documents: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["name"]) for one in documents if "metadata" in one}


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_builds_and_adds_what_it_says(component: str) -> None:
    found = built(component)
    assert names(manifests.documents(manifests.COMPONENTS / component)) <= names(found)
    assert {one["metadata"].get("namespace", "erip") for one in found} == {"erip"}
    for one in found:
        if one["kind"] in manifests.WITH_PODS:
            assert list(manifests.faults(one)) == [], one["metadata"]["name"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_docs_name_each_component_and_each_policy_that_it_adds(component: str) -> None:
    assert f"components/{component}" in PAGE
    for kind, name in names(manifests.documents(manifests.COMPONENTS / component)):
        assert kind != "NetworkPolicy" or f"`{name}`" in PAGE


# --- KEDA -------------------------------------------------------------------------------------------------


def test_keda_takes_the_place_of_the_autoscaler() -> None:
    found = built("keda")
    assert [one for one in names(found) if "autoscaler" in one[1] and one[0] != "HorizontalPodAutoscaler"] == []
    for one in found:
        assert not manifests.has_token(one), one["metadata"]["name"]
    (scaled,) = [one["spec"] for one in found if one["kind"] == "ScaledObject"]
    (workers,) = [one for one in found if one["kind"] == "Deployment" and one["metadata"]["name"] == "erip-worker"]
    assert scaled["scaleTargetRef"]["name"] == workers["metadata"]["name"]
    assert "replicas" not in workers["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (base.ERIP_AUTOSCALE_MIN, base.ERIP_AUTOSCALE_MAX)


TRIGGERS = {one.get("name", one["type"]): one["metadata"] for one in only("keda", "ScaledObject")["spec"]["triggers"]}


def ages(lane: str) -> float:
    return base.ERIP_LANE_BOUNDS[lane] * base.ERIP_AGEING_AT


def test_kedas_queries_ask_for_metrics_that_there_are() -> None:
    known = set(re.findall(r"^\| `(\w+)`", metrics_page(), re.MULTILINE))
    for name in ("backlog", "response"):
        assert set(re.findall(r"erip_\w+", TRIGGERS[name]["query"])) <= known
        # What is not known is no zero: it would take workers away.
        assert TRIGGERS[name]["ignoreNullValues"] == "false"


def sample(metric: str, **lanes: float) -> list[dict[str, str]]:
    return [{"series": f'{metric}{{lane="{lane}"}}', "values": str(value)} for lane, value in lanes.items()]


@pytest.mark.parametrize("lane", base.ERIP_LANE_BOUNDS)
def test_prometheus_gives_how_many_times_the_workers_are_wanted(lane: str, tmp_path: Path) -> None:
    """What takes twice the time after which work of its lane ages wants twice as many. The other lanes want less."""
    others = {other: 1.0 for other in base.ERIP_LANE_BOUNDS if other != lane}
    series = [
        *sample("erip_lane_capacity_steps", **dict.fromkeys(base.ERIP_LANE_BOUNDS, 100)),
        *sample("erip_lane_waiting_steps", **others, **{lane: 100 * 2 * ages(lane)}),
        *sample("erip_lane_oldest_wait_seconds", **dict.fromkeys(others, 0.1), **{lane: 3 * ages(lane)}),
    ]
    asked = [
        {"expr": TRIGGERS[name]["query"], "eval_time": "0s", "exp_samples": [{"labels": "{}", "value": value}]}
        for name, value in (("backlog", 2.0), ("response", 3.0))
    ]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "10s", "input_series": series, "promql_expr_test": asked}]}))
    prometheus.run("promtool", "test", "rules", file)


# --- Prometheus' operator, and External Secrets -----------------------------------------------------------


def test_the_operator_scrapes_as_the_file_for_prometheus_does() -> None:
    spec = only("prometheus-operator", "ScrapeConfig")["spec"]
    file = yaml.safe_load((manifests.ROOT / "deploy/monitoring/prometheus.yml").read_text())
    (job,) = file["scrape_configs"]
    assert spec["metricsPath"] == job["metrics_path"]
    assert resolve(spec["metricsPath"]).func
    assert spec["sampleLimit"] == job["sample_limit"]
    assert spec["staticConfigs"] == [{"targets": job["static_configs"][0]["targets"]}]
    assert spec["scheme"] == job["scheme"].upper()


#: what makes the Secrets of a component, where components/external-secrets makes those of the base
EXTERNAL = {
    "redis": "external-secrets-redis",
    "cloudnative-pg": "external-secrets-backup",
    "prometheus-operator": "external-secrets-metrics",
}


def secrets_in(node: Any) -> Iterator[tuple[str, str, bool]]:
    """(Secret, key, whether it may be absent) of each that is named anywhere in an object; `*`: all of its keys."""
    if isinstance(node, list):
        for one in node:
            yield from secrets_in(one)
    if not isinstance(node, dict):
        return
    for name, one in node.items():
        if name in ("secret", "secretRef") and isinstance(one, dict):
            for item in one.get("items", [{"key": "*"}]):
                yield one.get("secretName", one.get("name")), item["key"], bool(one.get("optional"))
        elif isinstance(one, dict) and one.keys() - {"optional"} == {"name", "key"}:
            yield one["name"], one["key"], bool(one.get("optional"))
        elif re.fullmatch(r"\w+Secret", name) and isinstance(one, str):
            yield one, "*", False
        else:
            yield from secrets_in(one)


def nobody_makes(*components: str) -> set[tuple[str, str]]:
    """(Secret, key) that an object of production with these components names, and no object makes."""
    found = kustomize.documents(
        manifests.OVERLAYS / "production", components=[manifests.COMPONENTS / one for one in components]
    )
    by_issuer = {one["spec"]["secretName"] for one in found if one["kind"] == "Certificate"}
    made = {one["spec"]["target"]["name"]: one["spec"] for one in found if one["kind"] == "ExternalSecret"}
    lacking = set()
    for secret, key, optional in {each for one in found for each in secrets_in(one)}:
        one = made.get(secret, {})
        named = key in {each["secretKey"] for each in one.get("data", [])}
        # What must be there is named, so that the operator says which property its entry lacks.
        whole = one.get("dataFrom") == [{"extract": {"key": f"erip/{secret}"}}] and (optional or key == "*")
        all_named = key == "*" and "data" in one
        if secret not in by_issuer and not (named or whole or all_named):
            lacking.add((secret, key))
    return lacking


def test_with_external_secrets_every_secret_that_is_named_is_made_with_every_key() -> None:
    assert nobody_makes("external-secrets") == set()
    others = [one for one in COMPONENTS if one not in EXTERNAL and not one.startswith("external-secrets")]
    assert nobody_makes("external-secrets", *others) == set()
    for component, more in EXTERNAL.items():
        # Each is needed, and enough.
        assert nobody_makes("external-secrets", component) != set()
        assert nobody_makes("external-secrets", component, more) == set()
    assert {one for one in COMPONENTS if one.startswith("external-secrets-")} == set(EXTERNAL.values())
    assert {secret for secret, _ in nobody_makes(*EXTERNAL)} >= {"erip", "erip-redis", "erip-backup", "erip-metrics"}
    assert ("erip-broker", "sentinel") in nobody_makes()


def test_external_secrets_makes_the_secrets_that_pods_use_and_no_others() -> None:
    made: dict[str, set[str]] = {}
    for one in manifests.documents(manifests.COMPONENTS / "external-secrets"):
        if one["kind"] == "ExternalSecret":
            spec = one["spec"]
            assert spec["target"]["name"] == one["metadata"]["name"]
            made[one["metadata"]["name"]] = {each["secretKey"] for each in spec.get("data", [])}
    used: dict[str, set[str]] = {}
    for workload in manifests.pods().values():
        for secret, key in manifests.secrets(workload):
            if secret not in manifests.certificates():
                used.setdefault(secret, set()).add(key)
    assert set(made) == set(used)
    # Of some all keys are used, and the page names them.
    assert [name for name, keys in used.items() if not keys - {"*"} <= made[name]] == []
    assert [name for name, keys in used.items() if "*" not in keys and keys != made[name]] == []
    for name, keys in made.items():
        rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
        assert any(all(f"`{key}`" in row for key in keys) for row in rows), name
