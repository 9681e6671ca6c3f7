"""What comes from elsewhere does a terminal no harm, whatever it is, and is shown for what it is."""

import io
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from erip_client.cli import show
from erip_client.cli.words import error_sentence, safe, safe_block, since, to_json, took
from erip_client.models import Run

TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\x07\x9b\x00\r\n\t\x7f\u202e\u2066\u200f\u2028\ud800["))
)
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def harmful(text: str, *, allowed: str = "") -> set[str]:
    return {
        one
        for one in text
        if one not in allowed
        and (unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(one) in BIDI)
    }


@given(TEXTS)
def test_a_line_is_one_line_and_harmless(text: str) -> None:
    assert harmful(safe(text)) == set()
    assert harmful(safe_block(text), allowed="\n\t") == set()


@settings(max_examples=60)
@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_is_harmless_and_reads_back_the_same(value: Any) -> None:
    for indent in (None, 2):
        text = to_json(value, indent)
        assert harmful(text, allowed="\n") == set()
        assert json.loads(text) == value


HOSTILE = "[bold]:smile:\x1b]0;owned\x07\x1b[2J\u202egpj.exe\r\n\x9b31m"
AT = "2026-11-25T08:00:00Z"


def hostile_run() -> Run:
    step = {
        "id": HOSTILE, "item": None, "kind": HOSTILE, "uses": HOSTILE, "needs": [HOSTILE], "status": HOSTILE,
        "attempt": 2, "worker": HOSTILE, "started_at": AT, "finished_at": AT, "input": HOSTILE, "output": HOSTILE,
        "error": {"code": HOSTILE, "message": HOSTILE}, "essential": False,
        "items": {"total": 3, "by_status": {HOSTILE: 3}}, "due_at": None, "waits_for": HOSTILE,
    }  # fmt: skip
    return Run.model_validate(
        {
            "id": HOSTILE, "workflow": HOSTILE, "version": 1, "status": HOSTILE, "lane": HOSTILE,
            "business_key": HOSTILE, "created_at": AT, "started_at": AT, "finished_at": None, "deadline_at": None,
            "started_by": HOSTILE, "error": {"code": HOSTILE, "message": HOSTILE}, "input": {HOSTILE: HOSTILE},
            "output": {HOSTILE: [HOSTILE]}, "steps": [step],
        }
    )  # fmt: skip


@pytest.mark.parametrize("width", [20, 80, 120])
def test_a_run_full_of_hostile_texts_is_shown_harmlessly(width: int) -> None:
    file = io.StringIO()
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False, force_terminal=False)
    console.print(show.run_page(hostile_run(), width))
    for line in show.changes(None, hostile_run()):
        console.print(safe(line))
    assert harmful(file.getvalue(), allowed="\n") == set()
    assert "[bold]" in file.getvalue().replace("\n", "")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"code": "a", "message": "b"}, "a: b"),
        ({"message": "b"}, "b"),
        ("b", "b"),
        ({"other": 1}, '{"other": 1}'),
        ([1], "[1]"),
        ({"message": 7}, '{"message": 7}'),
    ],
)
def test_an_error_is_a_sentence(error: Any, sentence: str) -> None:
    assert error_sentence(error) == sentence


@pytest.mark.parametrize(
    ("seconds", "ago", "spent"),
    [(0.05, "0 s", "50 ms"), (3.21, "3 s", "3.2 s"), (99.9, "100 s", "99.9 s"), (303, "5 min", "5 min 3 s"),
     (7500, "2 h", "2 h 5 min"), (864_000, "10 d", "240 h 0 min"), (-5, "0 s", "0 ms")],
)  # fmt: skip
def test_times_are_short(seconds: float, ago: str, spent: str) -> None:
    began = datetime(2026, 11, 25, tzinfo=UTC)
    ended = datetime.fromtimestamp(began.timestamp() + seconds, UTC)
    assert (since(began, ended), took(began, ended)) == (ago, spent)
