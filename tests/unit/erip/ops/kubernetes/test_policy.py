"""Our own rules about pods: what ships keeps all of them, and each breach is named by its rule alone."""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest
import yaml

from erip.ops.kubernetes import kustomize, policy
from erip.settings.declared import DECLARED
from tests.support import manifests

Document = dict[str, Any]
RULES: Final = {one.name: one for one in policy.rules()}
PRODUCTION: Final = kustomize.documents(manifests.OVERLAYS / "production")
WORKLOADS: Final = [one for one in PRODUCTION if kustomize.pod_of(one)]
COMPONENTS: Final = sorted(path.name for path in manifests.COMPONENTS.iterdir())


@pytest.mark.parametrize("overlay", sorted(path.name for path in manifests.OVERLAYS.iterdir()))
def test_an_overlay_keeps_every_rule(overlay: str) -> None:
    assert policy.faults(kustomize.documents(manifests.OVERLAYS / overlay)) == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_production_with_a_component_keeps_every_rule(component: str) -> None:
    found = kustomize.documents(manifests.OVERLAYS / "production", components=[manifests.COMPONENTS / component])
    assert policy.faults(found) == []


@pytest.mark.parametrize("name", RULES)
def test_each_rule_says_why_and_has_an_example_that_passes_and_one_that_fails(name: str) -> None:
    rule = RULES[name]
    assert len(rule.why) > 30
    examples = yaml.safe_load((policy.FOLDER / "examples" / f"{rule.package}.yaml").read_text())
    assert examples["passes"]
    assert policy.faults(examples["passes"], [rule]) == []
    refused = policy.faults(examples["fails"], [rule])
    # Each object that the example refuses is named, but for those that only stand by.
    named = {one.what.split(":")[0].partition("/")[2] for one in refused}
    assert named - BESIDE == {one["metadata"]["name"] for one in examples["fails"] if one["kind"] in NAMED} - BESIDE
    assert {one.rule for one in refused} == {name}


NAMED: Final = {"Deployment", "Job", "Pod", "Rollout", "ConfigMap", "NetworkPolicy", "Secret"}
#: what only stands by
BESIDE: Final = {"default-deny", "settings", "scaler"}


def test_the_page_has_every_rule_with_its_reason() -> None:
    page = (manifests.ROOT / "docs/how-to/kubernetes.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert {name: rule.why for name, rule in RULES.items()}.items() <= {
        row[0].strip("`"): row[-1] for row in rows
    }.items()


# --- every pod and every rule -----------------------------------------------------------------------------


def each_container(change: Callable[[Document], object]) -> Callable[[Document], None]:
    def changed(pod: Document) -> None:
        for one in [*pod.get("initContainers", []), *pod["containers"]]:
            change(one)

    return changed


def without(*names: str) -> Callable[[Document], object]:
    return lambda one: [one.pop(name, None) for name in names]


def security(**values: Any) -> Callable[[Document], object]:
    return each_container(lambda one: one["securityContext"].update(values))


def env(name: str, value: str) -> Callable[[Document], object]:
    return each_container(lambda one: one.setdefault("env", []).append({"name": name, "value": value}))


#: (the rule that is broken, how)
BREACHES: Final[list[tuple[str, Callable[[Document], object]]]] = [
    ("limits", each_container(without("resources"))),
    ("limits", each_container(lambda one: one["resources"].pop("limits"))),
    ("limits", each_container(lambda one: one["resources"]["limits"].pop("memory"))),
    ("limits", each_container(lambda one: one["resources"]["requests"].pop("cpu"))),
    ("limits", each_container(lambda one: one["resources"]["requests"].pop("memory"))),
    ("non-root", lambda pod: pod["securityContext"].pop("runAsNonRoot")),
    ("non-root", lambda pod: pod["securityContext"].update(runAsNonRoot=False)),
    ("non-root", lambda pod: pod["securityContext"].update(runAsUser=0)),
    ("non-root", security(runAsUser=0)),
    ("non-root", security(runAsNonRoot=False)),
    ("read-only-root", security(readOnlyRootFilesystem=False)),
    ("read-only-root", each_container(lambda one: one["securityContext"].pop("readOnlyRootFilesystem"))),
    ("no-escalation", security(allowPrivilegeEscalation=True)),
    ("no-escalation", each_container(lambda one: one["securityContext"].pop("allowPrivilegeEscalation"))),
    ("no-escalation", security(privileged=True)),
    ("no-capabilities", security(capabilities={"drop": ["NET_RAW"]})),
    ("no-capabilities", security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})),
    ("seccomp", lambda pod: pod["securityContext"].pop("seccompProfile")),
    ("seccomp", security(seccompProfile={"type": "Unconfined"})),
    ("no-host", lambda pod: pod.update(hostNetwork=True)),
    ("no-host", lambda pod: pod.update(hostPID=True)),
    ("no-host", lambda pod: pod.update(hostIPC=True)),
    ("no-host", lambda pod: pod["volumes"].append({"name": "root", "hostPath": {"path": "/"}})),
    ("no-host", each_container(lambda one: one.update(ports=[{"containerPort": 80, "hostPort": 80}]))),
    ("probes", each_container(without("startupProbe"))),
    ("probes", each_container(without("readinessProbe"))),
    ("probes", each_container(without("livenessProbe"))),
    ("spread", without("topologySpreadConstraints")),
    ("spread", lambda pod: pod.get("topologySpreadConstraints", [None]).pop()),
    ("no-token", without("automountServiceAccountToken", "serviceAccountName")),
    ("no-token", lambda pod: pod.update(automountServiceAccountToken=not pod["automountServiceAccountToken"])),
    ("tag", each_container(lambda one: one.update(image="erip"))),
    ("tag", each_container(lambda one: one.update(image="registry.example.org:5000/erip"))),
    ("tag", each_container(lambda one: one.update(image="erip:latest"))),
    ("no-secret-in-env", env("ERIP_SECRET_KEY", "0123456789")),
    ("no-secret-in-env", env("REDIS", "redis://:word@redis/0")),
    ("no-shadow", env("ERIP_PROCESSES", "1")),
    ("priority", without("priorityClassName")),
    ("priority", lambda pod: pod.update(priorityClassName="nobody-knows-it")),
    ("ends", without("terminationGracePeriodSeconds")),
    ("ends", lambda pod: pod.update(terminationGracePeriodSeconds=0)),
    ("no-service-links", without("enableServiceLinks")),
]
#: pods that a rule says nothing about
SPARED: Final = {
    # It ends by itself, and nobody waits for it to be ready.
    "probes": {"erip-migrate"},
    # It has no settings of the platform.
    "no-shadow": {"erip-flower"},
    # One pod, or a Job.
    "spread": {"erip-migrate", "erip-flower"},
    "budget": {"erip-migrate", "erip-flower"},
}


def named(found: list[policy.Fault]) -> dict[str, set[str]]:
    """The workloads that each rule names."""
    rules = {one.rule for one in found}
    return {rule: {one.what.split(":")[0].partition("/")[2] for one in found if one.rule == rule} for rule in rules}


def everybody(rule: str) -> set[str]:
    return {one["metadata"]["name"] for one in WORKLOADS} - SPARED.get(rule, set())


@pytest.mark.parametrize("number", range(len(BREACHES)))
def test_a_broken_pod_is_named_by_its_rule_and_by_no_other(number: int) -> None:
    rule, breach = BREACHES[number]
    broken = copy.deepcopy(PRODUCTION)
    for one in broken:
        if pod := kustomize.pod_of(one):
            breach(pod)
    assert named(policy.faults(broken)) == {rule: everybody(rule)}


def without_policies(direction: str) -> list[Document]:
    broken = copy.deepcopy(PRODUCTION)
    for one in broken:
        if one["metadata"]["name"] == "default-deny":
            one["spec"]["policyTypes"].remove(direction)
    return broken


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("network", [one for one in PRODUCTION if one["metadata"]["name"] != "default-deny"]),
        ("network", without_policies("Ingress")),
        ("network", without_policies("Egress")),
        ("budget", [one for one in PRODUCTION if one["kind"] != "PodDisruptionBudget"]),
        ("priority", [one for one in PRODUCTION if one["kind"] != "PriorityClass"]),
    ],
)
def test_what_a_pod_needs_beside_it_is_missed(rule: str, broken: list[Document]) -> None:
    assert named(policy.faults(broken)) == {rule: everybody(rule)}


def test_every_rule_is_broken_by_one_of_them() -> None:
    assert {rule for rule, _ in BREACHES} | {"network", "budget", "priority", "known-kind"} == set(RULES)


def test_each_budget_is_needed() -> None:
    budgets = [one["metadata"]["name"] for one in PRODUCTION if one["kind"] == "PodDisruptionBudget"]
    for name in budgets:
        left = [one for one in PRODUCTION if (one["kind"], one["metadata"]["name"]) != ("PodDisruptionBudget", name)]
        assert policy.faults(left, [RULES["budget"]]) == [
            policy.Fault("budget", f"Deployment/{name}: no PodDisruptionBudget")
        ]


def test_a_secret_among_the_settings_is_named() -> None:
    broken = copy.deepcopy(PRODUCTION)
    (settings,) = [one for one in broken if one["kind"] == "ConfigMap"]
    settings["data"]["DATABASE_URL"] = "postgres://erip:word@db/erip"
    (found,) = policy.faults(broken)
    assert (found.rule, "DATABASE_URL" in found.what) == ("no-secret-in-env", True)


#: their secret is a part of the address
ADDRESSES: Final = {
    *("DATABASE_URL", "DATABASE_OWNER_URL", "ERIP_DB_DIRECT_URL", "ERIP_REPLICA_URLS"),
    *("ERIP_BROKER_URL", "ERIP_FLOWER_BROKER_URL", "ERIP_WORKER_BROKER_URL", "ERIP_EMAIL_URL"),
}


def as_settings(value: str, *names: str) -> set[str]:
    """Those of a ConfigMap with these names that the rule refuses."""
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": dict.fromkeys(names, value)}
    found = policy.faults([settings], [RULES["no-secret-in-env"]])
    return {one.what.removeprefix("ConfigMap/a: ").partition(" ")[0] for one in found}


def test_the_secrets_among_the_settings_of_the_platform_are_refused_and_no_others() -> None:
    secret = {one.name for one in DECLARED.values() if one.secret}
    assert secret > ADDRESSES
    assert as_settings("word", *DECLARED) == secret - ADDRESSES
    assert as_settings("postgres://erip:word@db/erip", *ADDRESSES) == ADDRESSES
    assert as_settings("/run/secrets/erip/one", *(f"{name}_FILE" for name in secret)) == set()


def with_nulls(node: Any) -> Any:
    """The same object, with names that are absent in it and in Kubernetes' eyes still are."""
    if isinstance(node, dict):
        more = dict.fromkeys(
            {"args", "ports", "env", "hostPath", "except", "endPort", "audience", "from"} - node.keys()
        )
        return {name: with_nulls(value) for name, value in node.items()} | more
    return [with_nulls(one) for one in node] if isinstance(node, list) else node


@pytest.mark.parametrize("name", RULES)
def test_what_is_null_changes_no_verdict(name: str) -> None:
    rule = RULES[name]
    examples = yaml.safe_load((policy.FOLDER / "examples" / f"{rule.package}.yaml").read_text())
    for documents in examples.values():
        plain = [one for one in documents if one["kind"] not in ("ConfigMap", "Secret")]
        told = [with_nulls(one) for one in plain]
        # Labels are texts: there null would be one.
        assert policy.faults([_labelled(a, b) for a, b in zip(told, plain, strict=True)], [rule]) == policy.faults(
            plain, [rule]
        )


def _labelled(told: Any, plain: Any) -> Any:
    """With the labels, and what selects them, as they were."""
    if isinstance(told, dict) and isinstance(plain, dict):
        return {
            name: plain[name] if name in ("labels", "matchLabels") else _labelled(value, plain.get(name))
            for name, value in told.items()
        }
    if isinstance(told, list) and isinstance(plain, list):
        return [_labelled(a, b) for a, b in zip(told, plain, strict=True)]
    return told


def test_a_rule_that_cannot_be_asked_is_no_consent() -> None:
    with pytest.raises(RuntimeError, match="gave no answer"):
        policy.faults(PRODUCTION, [policy.Rule("absent", "There is no such file.", "absent")])
