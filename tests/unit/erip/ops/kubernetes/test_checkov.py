"""checkov finds nothing in what ships but what accepted.yaml names, and whatever else it says is no consent."""

import copy
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from erip.ops.kubernetes import checkov, kustomize
from tests.support import charts, manifests
from tests.workers import until

WHY: Final = "A reason that says more than a word or two."


def report(*failed: tuple[str, str], passed: int = 9, unread: tuple[str, ...] = ()) -> dict[str, Any]:
    found = [
        {"check_id": check, "check_name": "said", "resource": f"{of.replace('/', '.erip.')}", "file_path": "/dev.yaml"}
        for check, of in failed
    ]
    return {
        "summary": {"passed": passed, "failed": len(found), "parsing_errors": len(unread)},
        "results": {"failed_checks": found, "parsing_errors": list(unread)},
    }


def accepted(**checks: list[str]) -> list[checkov.Accepted]:
    return checkov.exceptions(yaml.safe_dump({name: {"of": of, "why": WHY} for name, of in checks.items()}))


def test_what_is_accepted_is_no_fault_and_everything_else_is_named() -> None:
    found = report(("A", "Deployment/web"), ("A", "Deployment/worker"), ("B", "Job/migrate"))
    assert checkov.judge(found, accepted(A=[], B=["Job/migrate"])) == checkov.Verdict((), 9, 3)
    verdict = checkov.judge(found, accepted(A=["Deployment/web"]))
    assert verdict.faults == ("dev: Deployment/worker: A: said", "dev: Job/migrate: B: said")
    assert verdict.accepted == 1


def test_an_exception_that_nothing_needs_is_a_fault() -> None:
    found = report(("A", "Deployment/web"))
    assert checkov.judge(found, accepted(A=["Deployment/web", "Deployment/gone"], C=[])).faults == (
        "accepted.yaml: A of Deployment/gone: nothing needs it any more",
        "accepted.yaml: C: nothing needs it any more",
    )


@pytest.mark.parametrize(
    "text",
    [
        *([], {}, {"results": {}}, report(passed=0), report(unread=("a.yaml",))),
        {"summary": {"passed": 1}, "results": {"failed_checks": [{"check_id": "A"}]}},
    ],
)
def test_a_report_that_cannot_be_read_is_no_consent(text: Any) -> None:
    with pytest.raises(checkov.CheckovError, match=r"report|nothing|could not"):
        checkov.judge(text, [])


@pytest.mark.parametrize("one", [None, {}, {"why": "so"}, {"why": WHY, "if": 1}, "why"])
def test_an_exception_needs_a_reason(one: Any) -> None:
    with pytest.raises(checkov.CheckovError, match="A: it has a `why`"):
        checkov.exceptions(yaml.safe_dump({"A": one}))


def test_all_that_ships_is_looked_at() -> None:
    made = checkov.everything()
    components = {path.name for path in manifests.COMPONENTS.iterdir()}
    assert made.keys() == {path.name for path in manifests.OVERLAYS.iterdir()} | {
        f"production+{name}" for name in components | {"all"}
    }


def test_checkov_finds_no_more_in_the_chart_and_names_a_pod_that_is_broken() -> None:
    """What ships is asked by `make manifests`, which comes before the tests."""
    if not checkov.home().exists():
        pytest.skip("checkov is not installed here: make manifests")
    values = charts.defaults()
    values["components"] = dict.fromkeys(values["components"], True)
    known = checkov.exceptions(checkov.ACCEPTED.read_text())
    broken = copy.deepcopy(kustomize.documents(manifests.OVERLAYS / "staging"))
    (web,) = [one for one in broken if kustomize.key_of(one) == ("Deployment", "erip-web")]
    kustomize.containers(web)[0]["securityContext"]["privileged"] = True
    documents = {"dev": kustomize.documents(manifests.OVERLAYS / "dev"), "chart": charts.render(values)}
    found = checkov.judge(checkov.scan(documents | {"broken": broken}), known).faults
    assert {one.split(": ")[0] for one in found} == {"broken"}
    assert any(one.startswith("broken: Deployment/erip-web: CKV_K8S_16: ") for one in found)


# --- installing it ----------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """It has no environment yet, and one package of pins that nobody has: it is not asked for at a registry."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "pins.txt").write_text(
        f"--no-index\n--find-links {tmp_path / 'wheels'}\nerip-nobody==1 --hash=sha256:{'0' * 64}\n"
    )
    monkeypatch.setattr(checkov, "PINS", tmp_path / "pins.txt")
    monkeypatch.setattr(checkov, "home", lambda: tmp_path / "tools" / "checkov")
    return tmp_path


def program(at: Path, text: str) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(f"#!/bin/sh\n{text}\n")
    at.chmod(0o755)


def test_it_says_what_each_way_of_installing_it_answered(nowhere: Path) -> None:
    with pytest.raises(checkov.CheckovError, match=r"(?s)cannot be installed: uv: .*erip-nobody.*; pip: .*erip-nobody"):
        checkov.installed().__enter__()
    assert not (checkov.home() / "pins.sha256").exists()


def test_where_there_is_no_uv_pip_installs_it(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A Python in whose folder there is no uv, and nothing to be installed.
    (nowhere / "pins.txt").write_text("--no-index\n")
    (nowhere / "bin").mkdir()
    (nowhere / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(nowhere / "bin" / "python"))
    with checkov.installed() as found:
        assert found == checkov.home() / "bin" / "checkov"
        assert (checkov.home() / "bin" / "pip").exists()
        assert (checkov.home() / "pins.sha256").exists()


def test_a_program_that_hangs_is_named_and_no_traceback(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uv", "python"):
        program(nowhere / "bin" / name, "exec sleep 600")
    monkeypatch.setattr(sys, "executable", str(nowhere / "bin" / "python"))
    monkeypatch.setattr(checkov, "PATIENCE", 1)
    with pytest.raises(checkov.CheckovError, match="uv: it did not end within 1 s; pip: it did not end within 1 s"):
        checkov.installed().__enter__()


def test_a_folder_that_cannot_be_written_is_named(nowhere: Path) -> None:
    (nowhere / "tools").write_text("a file")
    with pytest.raises(checkov.CheckovError, match=f"{nowhere}/tools: file exists"):
        checkov.installed().__enter__()


def waits_for(lock: Path) -> bool:
    """Whether somebody waits for a lock on this file (proc(5), /proc/locks)."""
    inode = f":{lock.stat().st_ino} "
    return any(" -> " in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_while_one_uses_it_nobody_replaces_it(nowhere: Path) -> None:
    (nowhere / "pins.txt").write_text("--no-index\n")
    with checkov.installed() as found:
        (found.parent / "mine").write_text("")
        (nowhere / "pins.txt").write_text("--no-index\n# others\n")
        second = threading.Thread(target=lambda: checkov.installed().__enter__())
        second.start()
        until(lambda: waits_for(checkov.home().parent / "checkov.lock"), what="the second one waits")
        assert (found.parent / "mine").exists()
    second.join(120)
    assert not second.is_alive()
    assert not (found.parent / "mine").exists()
