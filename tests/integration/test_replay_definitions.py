"""`manage.py replay --definition`: what another definition would have made of runs, and what of it is not known."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.definitions import publish
from tests.integration.test_what_if import counts
from workflows import engine
from workflows.models import WorkflowRun
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

PAYS = """
name: pays
steps:
  check: {{uses: sample.echo, with: {{value: "${{{{ input.loss }}}}"}}}}
  board: {{uses: sample.echo, needs: [check], if: "steps.check.output.value >= {limit}", with: {{value: {asks}}}}}
  ask: {{wait: {{signal: go}}, needs: [board], if: "input.waits == true"}}
output: {{board: "${{{{ steps.board.status }}}}"}}
"""


def pays(limit: int, asks: str = "1") -> str:
    return PAYS.format(limit=limit, asks=asks)


@pytest.fixture
def runs(run_to_end: Callable[..., WorkflowRun], executor: Executor) -> dict[int, str]:
    """Ended ones by their loss, and one (of 994) that waits."""
    publish(pays(1000))
    found = {loss: str(run_to_end("pays", {"loss": loss, "waits": False}).pk) for loss in (5, 995, 2000)}
    found[994] = engine.start_runs("pays", [engine.StartRequest({"loss": 1994, "waits": True})], principal="t")[0].id
    executor.execute([found[994]])
    return found


def asked(tmp_path: Path, source: str, *more: str) -> tuple[int, list[str]]:
    """(exit code, lines)."""
    file, out = tmp_path / "other.yaml", StringIO()
    file.write_text(source)
    try:
        call_command("replay", "--since", "1d", "--definition", str(file), *more, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def test_the_same_definition_changes_nothing(runs: dict[int, str], tmp_path: Path) -> None:
    assert asked(tmp_path, pays(1000)) == (
        0, ["4 runs decided again, 0 of them differently, 0 with something that is not known"],
    )  # fmt: skip


def test_which_runs_would_end_otherwise_is_exact_and_nothing_is_written(runs: dict[int, str], tmp_path: Path) -> None:
    before = counts()
    code, lines = asked(tmp_path, pays(2001))
    assert code == 1
    assert {line.split(": ")[0] for line in lines[:-1]} == {f"pays {runs[2000]}", f"pays {runs[994]}"}
    assert f"pays {runs[2000]}: steps.board.state: SUCCEEDED; today: SKIPPED" in lines
    assert f'pays {runs[2000]}: output: {{"board":"SUCCEEDED"}}; today: {{"board":"SKIPPED"}}' in lines
    assert lines[-1] == "4 runs decided again, 2 of them differently, 0 with something that is not known"
    assert counts() == before


def test_what_a_step_would_have_given_that_did_not_run_is_not_known(runs: dict[int, str], tmp_path: Path) -> None:
    code, lines = asked(tmp_path, pays(990), "--against", "past")
    assert code == 1
    assert (
        f"pays {runs[995]}: not known: steps.board: it would have begun, and what it would have given is not known"
        in (lines)
    )
    assert not [line for line in lines if runs[5] in line or runs[2000] in line]
    assert lines[-1].startswith("3 runs decided again, 1 of them differently, 1 with")


def test_a_step_that_would_have_been_asked_otherwise_is_named(runs: dict[int, str], tmp_path: Path) -> None:
    _, lines = asked(tmp_path, pays(1000, asks="2"), "--against", "past")
    assert any(line.startswith(f"pays {runs[2000]}: steps.board.input") for line in lines)
    assert (
        f"pays {runs[2000]}: not known: steps.board: asked something else, it might have given something else" in lines
    )
    assert not [line for line in lines if runs[5] in line]


def test_only_open_runs_are_looked_at_if_so_asked(runs: dict[int, str], tmp_path: Path) -> None:
    _, lines = asked(tmp_path, pays(2001), "--against", "waiting")
    assert lines[-1].startswith("1 runs decided again, 1 of them differently")
    assert all(runs[994] in line for line in lines[:-1])


@pytest.mark.parametrize(
    ("source", "more", "told"),
    [
        ("name: pays\nsteps: {a: {uses: nothing.there}}\n", (), "steps.a.uses"),
        (pays(1), ("--workflow", "other"), "the definition is of pays"),
    ],
)
def test_a_definition_that_cannot_be_used_is_refused(tmp_path: Path, source: str, more: Any, told: str) -> None:
    with pytest.raises(CommandError, match=told) as refused:
        asked(tmp_path, source, *more)
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="No such file"):
        call_command("replay", "--definition", str(tmp_path / "none.yaml"), stdout=StringIO())
