"""`manage.py rehearse`: the whole course on a simulated clock, and nothing of it stays."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.unit.docs.blocks import blocks
from workflows.library import cache

pytestmark = pytest.mark.django_db(transaction=True)

NOTIFY = """
name: tell-customers
steps:
  wait: {wait: {for: 2h}}
  approve:
    needs: [wait]
    approval:
      title: Tell them
      quorum: [{role: ciso}, {role: dpo}]
      sla: 4h
      on_expiry: continue
      remind: [1h]
      escalate: [{after: 3h, to: board}]
  send:
    needs: [approve]
    if: steps.approve.output.approved
    uses: notify.send
    with: {event: a.b, subject: x, message: y}
output: ${{ steps.approve.output.approved }}
"""


def rehearse(*arguments: str) -> str:
    out = StringIO()
    call_command("rehearse", *arguments, stdout=out)
    return out.getvalue()


def counts() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
            " AND NOT relispartition"
        )
        names = [name for (name,) in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            found[name] = cursor.fetchone()[0]
        return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "tell.yaml"
    path.write_text(NOTIFY)
    return str(path)


def test_who_is_absent_is_reminded_of_others_are_notified_and_it_is_missed(file: str, mailoutbox: Any) -> None:
    text = rehearse(file, "--at", "2026-12-24T16:00+01:00", "--absent", "ciso")
    for line in (
        "tell-customers: SUCCEEDED, from 2026-12-24 16:00+01:00 to 2026-12-24 22:00+01:00",
        "Thu 12-24 18:00:00  +2h",
        "absent: ciso",
        "Missed: 1",
    ):
        assert line in text
    steps = [line for line in text.splitlines() if "approval." in line]
    assert [line.split()[4].partition(".")[2] for line in steps[:4]] == ["opened", "reminded", "escalated", "expired"]
    assert "to board" in text
    assert mailoutbox == []


def test_who_is_there_approves_and_what_would_reach_out_is_stood_in_for(file: str, mailoutbox: Any) -> None:
    told = json.loads(rehearse(file, "--at", "2026-12-24T16:00+01:00", "--answer-after", "30m", "--json"))
    assert (told["state"], told["output"], told["missed"]) == ("SUCCEEDED", True, [])
    assert told["stood_in"] == {"send": "notify.send"}
    assert told["ended_at"].startswith("2026-12-24T18:30:00")
    assert mailoutbox == []


def test_the_shipped_breach_response_is_played_and_no_row_is_more_or_less() -> None:
    cache.forget()
    call_command("bootstrap", "--json", stdout=StringIO())
    cache.forget()
    before = counts()
    (command,) = [
        block.text.strip().removeprefix("$ python manage.py rehearse ").split()
        for block in blocks()
        if block.page == "docs/how-to/rehearse.md" and block.language == "console"
    ]
    text = rehearse(*command)
    assert counts() == before
    assert before["workflows_workflowversion"] > 0
    assert re.match(r"breach-response: [A-Z_]+, from 2026-12-24 16:00\+01:00", text), "rehearse.md"
    assert "step.succeeded decide" in " ".join(text.split())


def test_what_is_wrong_is_said(file: str, tmp_path: Path) -> None:
    odd = tmp_path / "odd.json"
    odd.write_text("[]")
    for arguments, said in (
        (("nothing-of-this-name", "--at", "2026-12-24T16:00Z"), "no workflow"),
        ((file, "--at", "2026-12-24T16:00"), "--at"),
        ((file, "--at", "yesterday"), "--at"),
        ((file, "--at", "2026-12-24T16:00Z", "--answer-after", "soon"), "soon"),
        ((file, "--at", "2026-12-24T16:00Z", "--signal", "x@1h"), "x"),
        ((file, "--at", "2026-12-24T16:00Z", "--input", str(odd)), "no object"),
        ((file, "--at", "2026-12-24T16:00Z", "--outputs", str(tmp_path / "none")), "none"),
    ):
        with pytest.raises(CommandError, match=said):
            rehearse(*arguments)
