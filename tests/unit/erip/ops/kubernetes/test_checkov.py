"""checkov finds nothing in what ships but what accepted.yaml names, and whatever else it says is no consent."""

import copy
from typing import Any, Final

import pytest
import yaml

from erip.ops.kubernetes import checkov, kustomize
from tests.support import charts, manifests

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
