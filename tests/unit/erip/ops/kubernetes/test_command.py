"""`python -m erip.ops.kubernetes check`: what one sees, and how it ends."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from erip.ops.kubernetes import examples
from erip.ops.kubernetes.__main__ import main
from erip.ops.kubernetes.kustomize import documents
from tests.support import manifests


def test_what_ships_has_no_faults_and_nothing_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(manifests.ROOT)
    page = Path("docs/how-to/kubernetes.md").read_text()
    (line,) = [line for line in page.splitlines() if "erip.ops.kubernetes check" in line and "--component keda" in line]
    assert main(line.partition("erip.ops.kubernetes ")[2].split()) == 0
    said = capsys.readouterr()
    assert said.out.strip().endswith(": no faults")
    assert said.err == ""


def test_what_was_not_looked_at_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = documents(manifests.OVERLAYS / "staging", components=[manifests.COMPONENTS / "cloudnative-pg"])
    (cluster,) = [one for one in objects if one["kind"] == "Cluster"]
    cluster["spec"]["walStorage"] = {"size": "10Gi"}
    objects.append({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "one"}})
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(objects))
    assert main(["check", "--trial", str(tmp_path / "all.yaml")]) == 0
    said = capsys.readouterr().err
    assert "not looked at, for want of a schema: Thing (--crds)" in said
    assert "for only its operator knows it: Cluster/erip-db: spec: 'walStorage' (--crds)" in said


def test_faults_of_both_kinds_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = documents(manifests.OVERLAYS / "staging")
    (flower,) = [one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"] == "erip-flower"]
    flower["spec"]["replica"] = 1
    del flower["spec"]["template"]["spec"]["containers"][0]["resources"]
    text = yaml.safe_dump_all(objects)
    (tmp_path / "all.yaml").write_text(text)
    assert main(["check", "--trial", str(tmp_path / "all.yaml")]) == 1
    said = capsys.readouterr().out
    assert "schema: Deployment/erip-flower: spec: Additional properties" in said
    assert "limits: Deployment/erip-flower: flower: no limits of memory" in said
    assert "4 faults" in said
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["check", "--trial", "-"]) == 1
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    "text",
    [
        *("[1]", "kind: Service", "{kind: A, apiVersion: b, metadata: {}}", "a: [", "1"),
        *(b"\xf2\x00", b"\x00", "[" * 100_000),
    ],
)
def test_what_cannot_be_read_is_said(text: str | bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "all.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["check", str(tmp_path / "all.yaml")]) == 2
    assert "erip.ops.kubernetes: " in capsys.readouterr().err
    assert main(["check", str(tmp_path / "absent")]) == 2
    assert main(["check", "--component", "absent"]) == 2


def test_every_example_that_ships_is_refused_unless_it_is_a_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    components = [path.name for path in manifests.COMPONENTS.iterdir()]
    words = ["check", *(word for one in components for word in ("--component", one))]
    assert main(words) == 1
    said = capsys.readouterr().out.splitlines()
    assert main([*words, "--trial"]) == 0
    # Whatever the files say of such a host, in whatever kind, is among them.
    found = documents(manifests.OVERLAYS / "production", components=[manifests.COMPONENTS / one for one in components])
    texts = {kind_and_name(one): yaml.safe_dump(one) for one in found}
    assert {line.split(": ")[1] for line in said[:-1]} == {
        name for name, text in texts.items() if "example.org" in text
    }
    assert {"ObjectStore/erip-db", "ScrapeConfig/erip"} <= {line.split(": ")[1] for line in said[:-1]}
    assert any("data.ERIP_TRUSTED_PROXIES: 10.0.0.0/16 is an example" in line for line in said)
    # With names of one's own, nothing is left.
    mine = yaml.safe_dump_all(found).replace("example.org", "acme.internal").replace("10.0.0.0/16", "10.7.0.0/24")
    (tmp_path / "all.yaml").write_text(mine)
    assert main(["check", str(tmp_path / "all.yaml")]) == 0


def kind_and_name(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


@pytest.mark.parametrize(
    ("one", "where"),
    [
        ({"kind": "Ingress", "spec": {"rules": [{"host": "Risk.Example.ORG"}]}}, "spec.rules.0.host"),
        ({"kind": "Service", "spec": {"externalName": "db.acme.invalid."}}, "spec.externalName"),
        (
            {"kind": "ScaledObject", "spec": {"a": [{"serverAddress": "http://p.example:9090"}]}},
            "spec.a.0.serverAddress",
        ),
        ({"kind": "Pod", "spec": {"env": [{"name": "PGHOST", "value": "db.test"}]}}, "spec.env.0.PGHOST"),
        ({"kind": "Pod", "spec": {"args": ["--url=https://example.com/x"]}}, "spec.args.0"),
        ({"kind": "Any", "metadata": {"annotations": {"host": "a.example.net"}}}, "metadata.annotations.host"),
    ],
)
def test_an_example_is_found_in_any_kind(one: dict[str, Any], where: str) -> None:
    one = {"apiVersion": "example.org/v1", **one, "metadata": {"name": "one", **one.get("metadata", {})}}
    (found,) = examples.left([one])
    assert found.startswith(f"{one['kind']}/one: {where}: ")


def test_what_only_looks_like_an_example_is_none() -> None:
    env = [{"name": "DJANGO_SETTINGS_MODULE", "value": "erip.settings.test"}, {"name": "A", "value": "x.example.de"}]
    one = {"apiVersion": "a.example/v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"env": env, "n": 1}}
    assert examples.left([one]) == []
