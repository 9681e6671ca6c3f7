"""`python -m erip.ops.kubernetes check`: what one sees, and how it ends."""

import io
from pathlib import Path

import pytest
import yaml

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
    assert main(["check", str(tmp_path / "all.yaml")]) == 0
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
    assert main(["check", str(tmp_path / "all.yaml")]) == 1
    said = capsys.readouterr().out
    assert "schema: Deployment/erip-flower: spec: Additional properties" in said
    assert "limits: Deployment/erip-flower: flower: no limits of memory" in said
    assert "4 faults" in said
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["check", "-"]) == 1
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
