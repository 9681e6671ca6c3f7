"""The manifests in deploy/k8s: their probes and commands exist, and they ask for no more than they need."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from erip.foundation.process import alive
from erip.settings import base

ROOT = Path(__file__).resolve().parents[4]
DOCUMENTS = [
    document
    for path in sorted((ROOT / "deploy/k8s").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
DEPLOYMENTS = {one["metadata"]["name"]: one for one in DOCUMENTS if one["kind"] == "Deployment"}


def pod(name: str) -> dict[str, Any]:
    return DEPLOYMENTS[name]["spec"]["template"]["spec"]


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    return only


def environment(name: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(name)["env"]}


def probes(name: str) -> Iterator[dict[str, Any]]:
    found = [value for key, value in container(name).items() if key.endswith("Probe")]
    assert found, f"{name} has no probe"
    yield from found


def test_there_is_a_deployment_for_every_process() -> None:
    assert set(DEPLOYMENTS) == {"erip-web", "erip-worker", "erip-worker-critical", "erip-leader", "erip-autoscaler"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_labels_select_the_pods(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == {"app": name}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ask_what_exists(name: str) -> None:
    assert "livenessProbe" in container(name)
    for probe in probes(name):
        if "httpGet" in probe:
            assert resolve(probe["httpGet"]["path"]).func
            assert probe["httpGet"]["port"] in [port["name"] for port in container(name)["ports"]]
        else:
            program, option, module, of_whom, *_ = probe["exec"]["command"]
            assert (program, option) == ("python", "-m")
            assert importlib.util.find_spec(module) is not None
            # The process beats under this very name.
            command = " ".join(container(name)["command"])
            assert f"-n {of_whom}@%h" in command or of_whom in alive.ROLES & {name.removeprefix("erip-")}
        assert probe["timeoutSeconds"] >= 1


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_commands_exist(name: str) -> None:
    program, *arguments = container(name)["command"]
    if program == "gunicorn":
        assert importlib.util.find_spec(arguments[1].removeprefix("python:")) is not None
    elif program == "celery":
        assert "--pool=threads" in arguments
        lanes = arguments[arguments.index("-Q") + 1].split(",")
        assert set(lanes) <= {queue.name for queue in base.CELERY_TASK_QUEUES}
    else:
        assert (program, arguments[0]) == ("python", "manage.py")
        assert arguments[1] in get_commands()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_kubernetes_waits_longer_than_the_process_takes_to_end(name: str) -> None:
    told = environment(name)
    grace = {
        "gunicorn": float(told.get("ERIP_WEB_GRACE_SECONDS", "20")) + 2,
        "celery": float(told.get("ERIP_SHUTDOWN_GRACE_SECONDS", "20")) + 5,
        "python": 5.0,
    }[container(name)["command"][0]]
    assert pod(name)["terminationGracePeriodSeconds"] > grace
    if name == "erip-web":
        ready = container(name)["readinessProbe"]
        assert float(told["ERIP_DRAIN_SECONDS"]) > 2 * ready["periodSeconds"], "two looks must fit into the drain"
        assert float(told["ERIP_DRAIN_SECONDS"]) < float(told["ERIP_WEB_GRACE_SECONDS"])


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_have_no_rights_that_they_do_not_need(name: str) -> None:
    spec, only = pod(name), container(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in only["resources"]["limits"]
    assert spec["automountServiceAccountToken"] is (name == "erip-autoscaler")
    # No secret stands in a manifest.
    assert not re.search(r"password|secret_key|://", str(only["env"]), re.IGNORECASE)


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


def test_only_workers_get_the_secrets_of_what_is_sent_out() -> None:
    held = {
        name: {one["secretRef"]["name"] for one in container(name)["envFrom"] if "secretRef" in one}
        for name in DEPLOYMENTS
    }
    assert {name for name, secrets in held.items() if "erip-outgoing" in secrets} == {
        "erip-worker",
        "erip-worker-critical",
    }
    assert all("erip" in secrets for secrets in held.values())
