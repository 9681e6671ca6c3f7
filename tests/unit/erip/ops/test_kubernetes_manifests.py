"""The manifests in deploy/k8s: their probes and commands exist, and they ask for no more than they need."""

import copy
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from erip.foundation.process import alive, asking, parked
from erip.management import configuration
from erip.ops.ca import LEAF_DAYS
from erip.ops.deploy import redis_users
from erip.ops.kubernetes import kustomize
from erip.settings import base
from erip.settings.declared import DECLARED
from tests.support import manifests

WORKLOADS = manifests.pods()
DEPLOYMENTS = {name: one for name, one in WORKLOADS.items() if one["kind"] == "Deployment"}
DOCUMENTS = manifests.documents()
POLICIES = [one for one in DOCUMENTS if one["kind"] == "NetworkPolicy"]


def pod(name: str) -> dict[str, Any]:
    return manifests.spec_of(WORKLOADS[name])


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    return only


def environment(name: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(name).get("env", [])}


def probes(name: str) -> Iterator[dict[str, Any]]:
    found = [value for key, value in container(name).items() if key.endswith("Probe")]
    assert found, f"{name} has no probe"
    yield from found


def labels(name: str) -> dict[str, str]:
    return WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]


def test_what_begins_after_it_was_parked_has_as_long_as_its_startup_probe_would_have_given_it() -> None:
    asked = {
        name: probe["periodSeconds"] * probe["failureThreshold"]
        for name in DEPLOYMENTS
        if (probe := container(name).get("startupProbe", {})).get("exec", {}).get("command", [""] * 3)[2]
        == alive.__name__
    }
    assert {"erip-worker", "erip-worker-critical", "erip-leader"} <= asked.keys()
    assert set(asked.values()) == {parked.BEGINS_WITHIN}


def test_there_is_a_deployment_for_every_process() -> None:
    processes = {"erip-web", "erip-worker", "erip-worker-critical", "erip-leader", "erip-autoscaler", "erip-flower"}
    assert set(DEPLOYMENTS) == processes
    assert set(WORKLOADS) - processes == {"erip-migrate"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_labels_select_the_pods(name: str) -> None:
    assert DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"] == {"app": name}
    assert labels(name) == {"app": name, "app.kubernetes.io/part-of": "erip"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ask_what_exists(name: str) -> None:
    assert "livenessProbe" in container(name)
    for probe in probes(name):
        if "httpGet" in probe:
            assert resolve(probe["httpGet"]["path"]).func
            assert probe["httpGet"]["port"] in [port["name"] for port in container(name)["ports"]]
        elif "tcpSocket" in probe:
            assert name == "erip-flower", "others can say more than that a port is open"
            assert probe["tcpSocket"]["port"] in [port["name"] for port in container(name)["ports"]]
        else:
            program, option, module, of_whom, *_ = probe["exec"]["command"]
            assert (program, option) == ("python", "-m")
            assert importlib.util.find_spec(module) is not None
            if module == asking.__name__:
                assert resolve(of_whom).func
                assert probe["timeoutSeconds"] >= 1
                continue
            # The process beats under this very name.
            command = " ".join(container(name)["command"])
            assert f"-n {of_whom}@%h" in command or of_whom in alive.ROLES & {name.removeprefix("erip-")}
        assert probe["timeoutSeconds"] >= 1


COMMANDS = [(name, one["command"]) for name, each in WORKLOADS.items() for one in manifests.containers(each)]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_commands_exist(name: str, command: list[str]) -> None:
    program, *arguments = command
    if program == "gunicorn":
        assert importlib.util.find_spec(arguments[1].removeprefix("python:")) is not None
    elif arguments[:2] == ["-m", "erip.worker"]:
        assert "--pool=threads" in arguments
        lanes = arguments[arguments.index("-Q") + 1].split(",")
        assert set(lanes) <= {queue.name for queue in base.CELERY_TASK_QUEUES}
    elif arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]) is not None
    else:
        assert (program, arguments[0]) == ("python", "manage.py")
        assert arguments[1] in get_commands()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_kubernetes_waits_longer_than_the_process_takes_to_end(name: str) -> None:
    told, command = environment(name), container(name)["command"]
    grace = {
        "gunicorn": float(told.get("ERIP_WEB_GRACE_SECONDS", "20")) + 2,
        "erip.worker": float(told.get("ERIP_SHUTDOWN_GRACE_SECONDS", "20")) + 5,
        "python": 5.0,
    }["erip.worker" if "erip.worker" in command else command[0]]
    assert pod(name)["terminationGracePeriodSeconds"] > grace
    if name == "erip-web":
        ready = container(name)["readinessProbe"]
        assert float(told["ERIP_DRAIN_SECONDS"]) > 2 * ready["periodSeconds"], "two looks must fit into the drain"
        assert float(told["ERIP_DRAIN_SECONDS"]) < float(told["ERIP_WEB_GRACE_SECONDS"])


# --- the gate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_speak_by_tls_alone_and_hold_no_secret_in_their_environment(name: str) -> None:
    assert list(manifests.faults(WORKLOADS[name])) == []


_SECRET_OF_NOBODY = {"secret": {"name": "not-issued", "items": []}}


def _mounts(spec: dict[str, Any]) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = spec["containers"][0]["volumeMounts"]
    assert mounts[-1]["name"] == "tls"
    return mounts


def _setting(spec: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in spec["containers"][0]["env"] if one["name"] == name]
    return found  # type: ignore[no-any-return]


def _tls(spec: dict[str, Any]) -> list[dict[str, Any]]:
    (found,) = [volume["projected"]["sources"] for volume in spec["volumes"] if volume.get("name") == "tls"]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda spec: spec["containers"][0]["env"].append({"name": "X", "value": "redis://:p@h"}),
            "has an address in the manifest",
        ),
        (
            lambda spec: spec["containers"][0]["envFrom"].append({"secretRef": {"name": "erip"}}),
            "has secrets of the platform in its environment",
        ),
        (lambda spec: _mounts(spec).pop(), "has no certificates"),
        (lambda spec: _tls(spec).append(_SECRET_OF_NOBODY), "has certificates that nobody issues: not-issued"),
        (
            lambda spec: spec["containers"][0]["env"].remove(_setting(spec, "ERIP_WEB_CLIENT_CA")),
            "listens in the clear, or to everybody",
        ),
        (lambda spec: _setting(spec, "ERIP_WEB_CLIENT_CA").update(value="/etc/ca.crt"), "listens in the clear"),
        (
            lambda spec: spec["containers"][0].update(livenessProbe={"httpGet": {"path": "/health/live"}}),
            "has a probe that has no certificate",
        ),
    ],
)
def test_the_gate_refuses_a_pod_that_does_not(change: Callable[[dict[str, Any]], None], said: str) -> None:
    bad = copy.deepcopy(WORKLOADS["erip-web"])
    change(manifests.spec_of(bad))
    found = list(manifests.faults(bad))
    assert len(found) == 1, found
    assert said in found[0]


def test_nothing_with_pods_escapes_the_gate() -> None:
    folders = [manifests.BASE, *manifests.COMPONENTS.iterdir()]
    for one in (one for folder in folders for one in manifests.documents(folder)):
        described = one["kind"] in manifests.WITH_PODS
        assert described or "containers:" not in yaml.safe_dump(one), one["metadata"]["name"]
        assert not described or one["metadata"]["name"] in {*WORKLOADS, "erip-redis"}


def test_what_scales_itself_has_no_number_of_its_own() -> None:
    """Each `kubectl apply` would set it back."""
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in DOCUMENTS if one["kind"] == "HorizontalPodAutoscaler"]
    command = container("erip-autoscaler")["command"]
    scaled.append(command[command.index("--deployment") + 1])
    assert sorted(scaled) == ["erip-web", "erip-worker"]
    assert [name for name, one in DEPLOYMENTS.items() if "replicas" not in one["spec"]] == sorted(scaled)


def test_every_deployment_with_several_pods_has_a_budget_that_lets_a_node_be_drained() -> None:
    budgets = {
        one["spec"]["selector"]["matchLabels"]["app"]: one["spec"]
        for one in DOCUMENTS
        if one["kind"] == "PodDisruptionBudget"
    }
    assert set(budgets) == set(DEPLOYMENTS) - {"erip-flower"}
    for name, budget in budgets.items():
        pods = DEPLOYMENTS[name]["spec"].get("replicas", 2)
        assert budget.get("maxUnavailable", pods - budget.get("minAvailable", 0)) >= 1, name


# --- who has which secret ---------------------------------------------------------------------------------

PLATFORM = set(WORKLOADS) - {"erip-flower"}


def secrets(name: str) -> set[tuple[str, str]]:
    return manifests.secrets(WORKLOADS[name])


def test_each_pod_has_the_secrets_that_it_uses_and_no_others() -> None:
    """Only the job that migrates can change tables, and each kind of process has its own login to Redis."""
    common = {("erip", "DATABASE_URL"), ("erip", "ERIP_SECRET_KEY")}
    issued = manifests.certificates()
    held = {name: {one for one, _ in secrets(name)} & issued for name in WORKLOADS}
    client = {"erip-platform-postgres", "erip-platform-redis"}
    assert held == {
        **dict.fromkeys(PLATFORM, client),
        "erip-web": {*client, "erip-web-tls", "erip-web-flower"},
        "erip-flower": {"erip-flower-tls", "erip-flower-redis"},
    }
    assert {name: {one for one in secrets(name) if one[0] not in issued} for name in WORKLOADS} == {
        "erip-web": {*common, ("erip-broker", "web"), ("erip-flower", "FLOWER_BASIC_AUTH")},
        "erip-worker": {*common, ("erip-broker", "worker"), ("erip-outgoing", "*")},
        "erip-worker-critical": {*common, ("erip-broker", "worker"), ("erip-outgoing", "*")},
        "erip-leader": {*common, ("erip-broker", "leader"), ("erip-leader", "*")},
        "erip-autoscaler": {*common, ("erip-broker", "leader")},
        "erip-migrate": {*common, ("erip-broker", "leader"), ("erip-owner", "DATABASE_OWNER_URL")},
        "erip-flower": {("erip-flower", "*")},
    }
    logins = {key for name in WORKLOADS for secret, key in secrets(name) if secret == "erip-broker"}
    assert logins == {redis_users.WEB, redis_users.WORKER, redis_users.LEADER}
    (migrate, bootstrap) = manifests.containers(WORKLOADS["erip-migrate"])
    assert "owner" in {one["name"] for one in migrate["volumeMounts"]}
    assert "owner" not in {one["name"] for one in bootstrap["volumeMounts"]}


def test_the_files_that_settings_name_are_mounted() -> None:
    common = configuration.read(str(manifests.BASE / "settings.env")).values
    named = {value for value in common.values() if value.startswith(("/run/secrets/", "/run/tls/"))}
    assert len(named) == 3 + 4
    for name in PLATFORM:
        for one in manifests.containers(WORKLOADS[name]):
            own = {each["value"] for each in one.get("env", []) if str(each.get("value")).startswith("/run/")}
            mounted = manifests.files_at(pod(name), one)
            assert named | own <= mounted | {"/run/secrets/owner/DATABASE_OWNER_URL"}
            # Without one that a setting names only where the Sentinels ask for a password.
            may_be = {"/run/secrets/erip/ERIP_SENTINEL_PASSWORD"}
            assert {path for path in mounted if "/secrets/erip/" in path} - may_be < named


# --- certificates -----------------------------------------------------------------------------------------

CERTIFICATES = {one["metadata"]["name"]: one["spec"] for one in DOCUMENTS if one["kind"] == "Certificate"}
ISSUERS = {one["metadata"]["name"]: one["spec"] for one in DOCUMENTS if one["kind"] == "Issuer"}


def test_each_circle_has_an_authority_of_its_own_and_its_leaves_are_replaced_in_time() -> None:
    authorities = {name: one for name, one in CERTIFICATES.items() if one.get("isCA")}
    circles = {f"erip-{name.removeprefix('erip-ca-')}" for name in authorities}
    assert circles == set(ISSUERS) - {"erip-bootstrap"} == {"erip-postgres", "erip-redis", "erip-web", "erip-flower"}
    for circle in circles:
        assert ISSUERS[circle] == {"ca": {"secretName": f"erip-ca-{circle.removeprefix('erip-')}"}}
    for name, one in CERTIFICATES.items():
        assert one["secretName"] == name
        assert one["issuerRef"]["kind"] == "Issuer"
        assert one["privateKey"]["algorithm"] == "ECDSA"
        if name in authorities:
            assert one["issuerRef"]["name"] == "erip-bootstrap"
            continue
        assert one["issuerRef"]["name"] in circles, name
        hours = {key: int(one[key].removesuffix("h")) for key in ("duration", "renewBefore")}
        assert hours == {"duration": LEAF_DAYS * 24, "renewBefore": LEAF_DAYS * 12}
        assert one["privateKey"]["rotationPolicy"] == "Always"
        assert one["uris"][0].startswith("spiffe://erip.internal/")
        # A server's name is looked at; only who is both may act as both.
        assert bool(one.get("dnsNames")) is ("server auth" in one["usages"]), name
    both = {name for name, one in CERTIFICATES.items() if {"server auth", "client auth"} <= set(one.get("usages", []))}
    assert both == {"erip-redis-server", "erip-web-tls"}
    for one in DOCUMENTS:
        if one["kind"] == "Service":
            (port,) = one["spec"]["ports"]
            assert port["appProtocol"] == "https"
            assert one["metadata"]["name"] in CERTIFICATES[f"{one['metadata']['name']}-tls"]["dnsNames"]


def test_postgresql_of_the_component_has_certificates_of_ours_and_takes_nobody_without() -> None:
    (cluster,) = [
        one for one in manifests.documents(manifests.COMPONENTS / "cloudnative-pg") if one["kind"] == "Cluster"
    ]
    spec = cluster["spec"]
    assert set(spec["certificates"].values()) <= manifests.certificates()
    assert spec["postgresql"]["parameters"]["ssl_min_protocol_version"] == "TLSv1.3"
    rules = spec["postgresql"]["pg_hba"]
    assert rules[0] == "hostnossl all all all reject"
    assert all(rule.endswith("clientcert=verify-ca") for rule in rules[1:])
    server = CERTIFICATES[spec["certificates"]["serverTLSSecret"]]
    assert f"{cluster['metadata']['name']}-rw" in server["dnsNames"]
    assert CERTIFICATES[spec["certificates"]["replicationTLSSecret"]]["commonName"] == "streaming_replica"


@pytest.mark.parametrize("overlay", ["dev", "staging", "production"])
def test_the_settings_of_an_overlay_are_right(overlay: str) -> None:
    """Together with the base's, and with those that the pods add. Files with secrets are not on this machine."""
    files = [manifests.BASE / "settings.env", manifests.OVERLAYS / overlay / "settings.env"]
    given = [configuration.read(str(file)) for file in files]
    assert not any(one.faults for one in given)
    values = {name: value for one in given for name, value in one.values.items()}
    values |= {name: value for each in PLATFORM for name, value in environment(each).items()}
    looked = configuration.look(configuration.Given(overlay, values), "erip.settings.production")
    assert {one.name for one in looked.faults} == {
        "DATABASE_URL",
        "ERIP_SECRET_KEY",
        "ERIP_BROKER_URL",
        "ERIP_FLOWER_LOGIN",
    }
    assert all(one.unknown for one in looked.faults)
    assert [name for one in given for name in one.values if name in DECLARED and DECLARED[name].secret] == []


# --- the network ------------------------------------------------------------------------------------------

POSTGRES = {"cnpg.io/cluster": "erip-db"}
REDIS = {"app": "erip-redis"}
DNS = {"k8s-app": "kube-dns"}
#: kinds of pods that may reach each target
ARROWS: dict[str, set[str]] = {
    "postgres": PLATFORM,
    "redis": {"erip-web", "erip-worker", "erip-worker-critical", "erip-leader", "erip-flower"},
    "sentinel": {"erip-web", "erip-worker", "erip-worker-critical", "erip-leader", "erip-flower"},
    "dns": set(WORKLOADS),
    "the world": {"erip-worker", "erip-worker-critical", "erip-leader", "erip-autoscaler"},
    "a mail server": {"erip-worker", "erip-worker-critical", "erip-leader"},
    "the cloud's metadata": set(),
    "the API server": {"erip-autoscaler"},
    "web": set(),
    "flower": {"erip-web"},
}
TARGETS: dict[str, dict[str, Any]] = {
    "postgres": {"other": POSTGRES, "port": 5432},
    "redis": {"other": REDIS, "port": 6379},
    "sentinel": {"other": REDIS, "port": 26379},
    "dns": {"other": DNS, "namespace": "kube-system", "port": 53, "protocol": "UDP"},
    "the world": {"address": "93.184.216.34", "port": 443},
    "a mail server": {"address": "93.184.216.34", "port": 587},
    "the cloud's metadata": {"address": "169.254.169.254", "port": 443},
    "the API server": {"address": "10.96.0.1", "port": 443},
    "web": {"other": {"app": "erip-web", "app.kubernetes.io/part-of": "erip"}, "port": 8000},
    "flower": {"other": {"app": "erip-flower", "app.kubernetes.io/part-of": "erip"}, "port": 5555},
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_each_arrow_is_open_and_all_others_are_shut(name: str, target: str) -> None:
    asked = TARGETS[target]
    assert manifests.allows(POLICIES, "egress", labels(name), **asked) is (name in ARROWS[target])
    # Another port of the same target is shut, always.
    assert not manifests.allows(POLICIES, "egress", labels(name), **{**asked, "port": 8472})
    if target in ("postgres", "redis", "sentinel", "flower"):
        at = {"other": labels(name), "port": asked["port"]}
        assert manifests.allows(POLICIES, "ingress", asked["other"], **at) is (name in ARROWS[target])
        assert not manifests.allows(POLICIES, "ingress", asked["other"], **{**at, "namespace": "other"})


#: kinds of pods that may reach each target besides, where an overlay names the component
MORE_ARROWS = {"token-issuers": {"the world": {"erip-web"}, "the API server": {"erip-web"}}}


@pytest.mark.parametrize("component", MORE_ARROWS)
def test_a_component_opens_its_arrows_and_no_others(component: str) -> None:
    policies = [*POLICIES, *(one for one in manifests.documents(manifests.COMPONENTS / component) if "spec" in one)]
    assert len(policies) > len(POLICIES)
    for target, asked in TARGETS.items():
        for name in WORKLOADS:
            expected = name in ARROWS[target] | MORE_ARROWS[component].get(target, set())
            assert manifests.allows(policies, "egress", labels(name), **asked) is expected, (name, target)
            assert not manifests.allows(policies, "egress", labels(name), **{**asked, "port": 8472})


def test_only_the_ingress_reaches_a_pod_of_ours() -> None:
    ingress = {"app.kubernetes.io/name": "ingress-nginx"}
    for name in WORKLOADS:
        at = {"other": ingress, "namespace": "ingress-nginx", "port": 8000}
        assert manifests.allows(POLICIES, "ingress", labels(name), **at) is (name == "erip-web")
        assert not manifests.allows(POLICIES, "ingress", labels(name), **{**at, "namespace": "other"})
        for other in WORKLOADS:
            assert not manifests.allows(POLICIES, "ingress", labels(name), other=labels(other), port=8000)


def test_a_pod_that_no_arrow_names_reaches_nothing() -> None:
    stranger = {"app": "stranger"}
    for target in TARGETS.values():
        assert not manifests.allows(POLICIES, "egress", stranger, **target)


# --- kustomize --------------------------------------------------------------------------------------------


def test_every_file_of_the_base_is_part_of_it() -> None:
    listed = yaml.safe_load((manifests.BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        path.name for path in manifests.BASE.glob("*.yaml") if path.name != "kustomization.yaml"
    )


@pytest.mark.parametrize("overlay", ["dev", "staging", "production"])
def test_an_overlay_builds(overlay: str) -> None:
    built = kustomize.documents(manifests.OVERLAYS / overlay)
    names = {(one["kind"], one["metadata"]["name"]) for one in built}
    workloads = [one for one in built if one["kind"] in manifests.WITH_PODS]
    assert {one["metadata"]["name"] for one in workloads} == set(WORKLOADS)
    (settings,) = [name for kind, name in names if kind == "ConfigMap"]
    for one in workloads:
        assert list(manifests.faults(one)) == [], one["metadata"]["name"]
        assert {each["image"] for each in manifests.containers(one)} != {"erip:latest"}
        for each in manifests.containers(one):
            sources = [source["configMapRef"]["name"] for source in each.get("envFrom", []) if "configMapRef" in source]
            assert sources == ([] if one["metadata"]["name"] == "erip-flower" else [settings])
    assert {one["metadata"].get("namespace", "erip") for one in built} == {"erip"}
    # Those are the ones that test_network_policies.py tries.
    rendered = {one["metadata"]["name"]: one["spec"] for one in built if one["kind"] == "NetworkPolicy"}
    assert rendered == {one["metadata"]["name"]: one["spec"] for one in POLICIES}
    budgets = {name for kind, name in names if kind == "PodDisruptionBudget"}
    assert bool(budgets) is (overlay != "dev")


# --- the autoscaler ---------------------------------------------------------------------------------------


def test_the_autoscaler_may_scale_one_deployment_and_nothing_else() -> None:
    (role,) = [one for one in DOCUMENTS if one["kind"] == "Role"]
    (binding,) = [one for one in DOCUMENTS if one["kind"] == "RoleBinding"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == pod("erip-autoscaler")["serviceAccountName"]
    assert [one["kind"] for one in DOCUMENTS if "ClusterRole" in one["kind"]] == []
    for rule in role["rules"]:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        if rule["apiGroups"] == ["apps"]:
            assert rule["resourceNames"] == ["erip-worker"]
        if set(rule["verbs"]) - {"get", "list"}:
            assert rule["resources"] == ["deployments/scale"]
    command = container("erip-autoscaler")["command"]
    assert command[command.index("--deployment") + 1] in DEPLOYMENTS
