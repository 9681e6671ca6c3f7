"""Overlays built without kubectl are what kubectl builds, and what is not known is refused."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from erip.ops.kubernetes import kustomize
from tests.support import manifests

OVERLAYS = sorted(path.name for path in manifests.OVERLAYS.iterdir())
COMPONENTS = sorted(path.name for path in manifests.COMPONENTS.iterdir())


def by_key(documents: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {kustomize.key_of(one): one for one in documents}


def by_kubectl(folder: Path) -> list[dict[str, Any]]:
    if (kubectl := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not installed: nothing to compare with")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return [one for one in yaml.safe_load_all(done.stdout) if one]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_what_kubectl_builds(overlay: str) -> None:
    folder = manifests.OVERLAYS / overlay
    assert by_key(kustomize.documents(folder)) == by_key(by_kubectl(folder))


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_what_kubectl_builds(component: str, tmp_path: Path) -> None:
    """Named by the overlay, as the page says: its images are the component's, too."""
    shutil.copytree(manifests.BASE.parent, tmp_path / "k8s")
    overlay = tmp_path / "k8s" / "overlays" / "production"
    asked = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    (overlay / "kustomization.yaml").write_text(
        yaml.safe_dump(asked | {"components": [f"../../components/{component}"]})
    )
    built = by_key(
        kustomize.documents(manifests.OVERLAYS / "production", components=[manifests.COMPONENTS / component])
    )
    assert built == by_key(kustomize.documents(overlay)) == by_key(by_kubectl(overlay))


def test_each_object_says_where_it_comes_from() -> None:
    sources = {one.key: one.source for one in kustomize.build(manifests.OVERLAYS / "production")}
    assert sources["Deployment", "erip-web"] == manifests.BASE / "web.yaml"
    assert {path.name for path in sources.values()} >= {"network.yaml", "certificates.yaml", "settings.env"}


def test_a_changed_setting_changes_the_name() -> None:
    # kubectl 1.32 and 1.37 say so.
    assert kustomize.hash_of({"A": "<x> & é", "B": "2"}) == "g96hmddt7h"
    assert kustomize.hash_of({"A": "<x> & é", "B": "3"}) != "g96hmddt7h"


DIGEST = f"sha256:{'0' * 64}"
PODS = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  replicas: 1
  template:
    spec:
      containers:
        - {name: a, image: "erip:1"}
        - {name: b, image: "registry.example.org:5000/erip:1@sha256:1"}
        - {name: c, image: "registry.example.org:5000/other"}
"""


@pytest.mark.parametrize(
    ("asked", "images"),
    [
        ({"digest": DIGEST}, [f"erip@{DIGEST}", "registry.example.org:5000/erip:1@sha256:1"]),
        ({"newTag": "2", "newName": "x/erip"}, ["x/erip:2", "registry.example.org:5000/erip:1@sha256:1"]),
        ({"newName": "x/erip"}, ["x/erip:1", "registry.example.org:5000/erip:1@sha256:1"]),
        (
            {"name": "registry.example.org:5000/erip", "digest": DIGEST},
            ["erip:1", f"registry.example.org:5000/erip@{DIGEST}"],
        ),
        ({"name": "registry.example.org:5000/erip", "newTag": "2"}, ["erip:1", "registry.example.org:5000/erip:2"]),
    ],
)
def test_an_image_is_named_by_its_tag_or_digest_and_pods_of_every_kind_are_counted(
    asked: dict[str, Any], images: list[str], tmp_path: Path
) -> None:
    (tmp_path / "pods.yaml").write_text(PODS)
    overlay = {
        "resources": ["pods.yaml"],
        "images": [{"name": "erip", **asked}],
        "replicas": [{"name": "redis", "count": 3}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    (made,) = kustomize.documents(tmp_path)
    assert made["spec"]["replicas"] == 3
    assert [one["image"] for one in kustomize.containers(made)] == [*images, "registry.example.org:5000/other"]
    if shutil.which("kubectl"):
        assert by_key([made]) == by_key(by_kubectl(tmp_path))


BASE = {
    "web.yaml": yaml.safe_dump({"kind": "Service", "metadata": {"name": "web"}, "spec": {"a": [1]}}),
    "a.env": "A=1\n",
}
WEB = {"kind": "Service", "name": "web"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"namePrefix": "x-"}, "namePrefix: not known here"),
        ({"patches": [{"path": "x.yaml"}]}, r"patches\[0\]: a kind of patch"),
        ({"patches": [{"patch": "{spec: {a: 2}, kind: Service, metadata: {name: web}}"}]}, "a kind of patch"),
        ({"patches": [{"patch": "{$patch: delete, kind: Service, metadata: {name: other}}"}]}, "Service other"),
        ({"patches": [{"target": {**WEB, "name": "other"}, "patch": "[]"}]}, "there is no Service other"),
        ({"patches": [{"target": WEB, "patch": "[{op: replace, path: /spec/b, value: 1}]"}]}, "/spec/b is not there"),
        (
            {"patches": [{"target": WEB, "patch": "[{op: replace, path: /spec/a/1, value: 1}]"}]},
            "/spec/a/1 is not there",
        ),
        ({"patches": [{"target": WEB, "patch": "[{op: remove, path: /spec/a, value: 1}]"}]}, "remove: not known here"),
        ({"configMapGenerator": [{"name": "a", "literals": ["A=1"]}]}, "literals: not known here"),
        ({"configMapGenerator": [{"name": "a", "behavior": "merge", "envs": ["a.env"]}]}, "merge does not fit"),
        ({"configMapGenerator": [{"name": "a", "behavior": "replace", "envs": ["a.env"]}]}, "replace does not fit"),
        ({"configMapGenerator": [{"name": "a", "envs": ["web.yaml"]}]}, "web.yaml:1: kind: Service has no value"),
        ({"resources": ["web.yaml", "web.yaml"]}, "two objects have the same"),
        ({"resources": ["absent.yaml"]}, "absent.yaml"),
        ({"components": ["absent"]}, "absent"),
        ({"images": [{"name": "erip", "tagSuffix": "-a"}]}, r"images\[0\]: tagSuffix: not known here"),
        ({"images": [{"newTag": "1"}]}, r"images\[0\]: no name"),
        ({"images": [{"name": "erip", "newTag": "1", "digest": DIGEST}]}, "newTag and digest: one of them"),
        ({"replicas": [{"name": "web", "count": 1, "of": "x"}]}, r"replicas\[0\]: of: not known here"),
        ({"replicas": [{"name": "web", "count": 1}]}, r"replicas\[0\]: nothing that has any is called web"),
        ({"replicas": [{"name": "web"}]}, r"replicas\[0\]: no count"),
    ],
)
def test_what_is_not_known_is_refused_and_not_left_out(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    for name, text in BASE.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["web.yaml"], **asked}))
    with pytest.raises(kustomize.KustomizeError, match=said):
        kustomize.build(tmp_path)
