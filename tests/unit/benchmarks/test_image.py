"""`benchmarks.image`: the containers of deploy/k8s become processes that may do no more than these may."""

from pathlib import Path

import pytest

from benchmarks.image import pods, story
from erip.ops.image.archive import Image

IMAGE = Image(
    "sha256:0", "sha256:1", {"Env": ["PATH=/opt/erip/.venv/bin", "A=image"], "WorkingDir": "/opt/erip"}, (), ()
)
VOLUMES = {name: Path("/volumes") / name for name in ("secrets", "owner", "flower", "tls")}
WHICH = [
    (name, one["name"])
    for name, spec in pods.workloads().items()
    for one in [*spec.get("initContainers", []), *spec["containers"]]
]


def pod(name: str, **changed: str) -> pods.Pod:
    return pods.Pod(name, IMAGE, Path("/files"), Path("/pod"), VOLUMES, changed)


def pairs(words: list[str], option: str, count: int = 1) -> list[tuple[str, ...]]:
    return [tuple(words[at + 1 : at + 1 + count]) for at, word in enumerate(words) if word == option]


@pytest.mark.parametrize(("name", "container"), WHICH)
def test_a_container_runs_as_the_manifest_says(name: str, container: str) -> None:
    one = pod(name).container(container)
    words = pod(name).words(one, one["command"])
    assert words[words.index("--", words.index("bwrap")) + 1 :] == one["command"]
    assert {"--reuid=10001", "--regid=10001", "--no-new-privs", "--bounding-set=-all"} <= set(words)
    assert pairs(words, "--cap-drop") == [("ALL",)]
    assert ("/files", "/") in pairs(words, "--ro-bind", 2)
    assert ("/run",) in pairs(words, "--remount-ro")
    writable = {to for _, to in pairs(words, "--bind", 2)}
    assert writable == {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
    assert {to for _, to in pairs(words, "--ro-bind", 2)} - {"/"} == {
        mount["mountPath"] for mount in one["volumeMounts"] if mount.get("readOnly")
    }


def test_the_environment_is_the_image_s_then_the_manifests_then_what_differs() -> None:
    web = pod("erip-web", ERIP_WEB_WORKERS="1", A="", PGSSLMODE="disable")
    env = web.environment(web.container("web"))
    assert (env["PATH"], env["ERIP_WEB_WORKERS"], env["PGSSLMODE"]) == ("/opt/erip/.venv/bin", "1", "disable")
    assert env["DATABASE_URL_FILE"] == "/run/secrets/erip/DATABASE_URL"
    assert "A" not in env
    flower = pod("erip-flower")
    assert "DATABASE_URL_FILE" not in flower.environment(flower.container("flower"))


def test_what_the_story_changes_is_something_that_the_manifests_set() -> None:
    assert story.IN_THE_CLEAR.keys() <= pods.settings().keys() | {"ERIP_BROKER_CERTIFICATE"}


def test_every_pod_that_stays_is_started_and_every_container_of_the_others_runs_first() -> None:
    staying = story.staying()
    assert staying[0] == ("erip-web", "web")
    assert {*staying, ("erip-migrate", "migrate"), ("erip-migrate", "bootstrap")} == set(WHICH)
    for name, container in staying:
        assert pod(name).container(container).keys() >= set(story.PROBES)


def test_only_a_pod_that_has_a_token_is_given_the_account() -> None:
    bound = {}
    for name, container in story.staying():
        one = pods.Pod(name, IMAGE, Path("/files"), Path("/pod"), VOLUMES, {}, Path("/account"))
        bound[name] = ("/account", pods.ACCOUNT) in pairs(one.words(one.container(container), []), "--ro-bind", 2)
    assert [name for name, given in bound.items() if given] == ["erip-autoscaler"]
