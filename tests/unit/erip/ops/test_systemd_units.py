"""The units in deploy/systemd run what the manifests of Kubernetes run, with the same secrets, and end in time."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT
from erip.settings.declared import DECLARED
from tests.support import manifests

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("erip-*.service"))
COMMON = FOLDER / "erip-.service.d" / "common.conf"


def read(path: Path) -> dict[str, list[str]]:
    """All values of each key, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            key, equals, value = line.partition("=")
            assert equals, line
            found[key].append(value)
    return found


def own(path: Path) -> dict[str, list[str]]:
    """What a unit says in place of what is common to all: drop-ins win over the unit, later names over earlier ones."""
    files = sorted((path.parent / f"{path.name}.d").glob("*.conf"))
    assert all(file.name > COMMON.name for file in files)
    return read(files[0]) if files else {}


def kind(path: Path) -> str:
    return path.stem.removeprefix("erip-")


def secrets(path: Path) -> dict[str, str]:
    """By setting: the file that holds it."""
    return dict(one.split(":/etc/erip/secrets/") for one in read(path)["LoadCredential"])


def test_there_is_a_unit_for_every_workload_but_the_autoscaler_of_kubernetes() -> None:
    assert {f"erip-{kind(path)}" for path in UNITS} == set(manifests.pods()) - {"erip-autoscaler"}


@pytest.mark.parametrize("path", UNITS, ids=kind)
def test_a_unit_runs_what_the_pod_runs(path: Path) -> None:
    (command,) = read(path)["ExecStart"]
    pod = manifests.containers(manifests.pods()[path.stem])[0]["command"]

    def words(text: str) -> set[str]:
        here = re.sub(r"(--bind|--address)=\S+", "", text.replace("%H", "%h").removeprefix("/opt/erip/.venv/bin/"))
        return set(here.split())

    assert words(command) == words(" ".join(pod))


@pytest.mark.parametrize("path", UNITS, ids=kind)
def test_a_unit_has_the_secrets_that_it_uses_and_no_others(path: Path) -> None:
    held = secrets(path)
    broker = {"web": "web", "worker": "worker", "worker-critical": "worker", "leader": "leader", "migrate": "leader"}
    if kind(path) == "flower":
        assert held == {}
        files = ["", "-/etc/erip/flower-tls.env", "/etc/erip/flower.env"]
        assert own(path)["EnvironmentFile"] == files, "an empty one takes the platform's away"
        return
    owner = {"DATABASE_OWNER_URL": "DATABASE_OWNER_URL"} if kind(path) == "migrate" else {}
    assert held == {
        "DATABASE_URL": "DATABASE_URL",
        "ERIP_SECRET_KEY": "ERIP_SECRET_KEY",
        "ERIP_BROKER_URL": f"broker-{broker[kind(path)]}",
        **owner,
    }
    assert all(DECLARED[name].by_file for name in held)
    assert {f"{name}_FILE=%d/{name}" for name in held} <= set(read(path)["Environment"])


@pytest.mark.parametrize("path", UNITS, ids=kind)
def test_systemd_waits_at_least_as_long_as_kubernetes(path: Path) -> None:
    (seconds,) = read(path)["TimeoutStopSec"]
    assert int(seconds) >= manifests.spec_of(manifests.pods()[path.stem])["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("path", UNITS, ids=kind)
def test_what_is_common_to_all_is_not_said_in_a_unit_where_it_would_be_ignored(path: Path) -> None:
    adding = {"Environment"}
    assert not (read(path).keys() & read(COMMON).keys()) - adding


def test_migrations_run_once() -> None:
    said = own(FOLDER / "erip-migrate.service")
    assert (said["Type"], said["Restart"]) == (["oneshot"], ["no"])
    assert said["ExecStartPost"] == ["/opt/erip/.venv/bin/python manage.py bootstrap"]


def test_no_unit_has_more_rights_than_it_needs() -> None:
    common = read(COMMON)
    for key, value in {
        "User": "erip", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "CapabilityBoundingSet": "",
        "PrivateDevices": "yes", "RestrictNamespaces": "yes", "SystemCallArchitectures": "native",
    }.items():  # fmt: skip
        assert common[key] == [value], key
    for path in UNITS:
        assert not read(path).keys() & {"User", "Group", "AmbientCapabilities", "CapabilityBoundingSet"}, path.name
