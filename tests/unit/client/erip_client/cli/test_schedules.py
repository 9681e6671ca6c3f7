"""`erip schedules`: what it asks for, and what it shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from erip_client.cli.app import run
from tests.support.scripted import answer, scripted

AT = "2026-11-30T06:00:00Z"


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERIP_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("ERIP_API_KEY", "erip_key")


def schedule(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": 1,
        "schedule": {},
        "description": "",
        "author": "key:a",
        "created_at": AT,
        "next_at": AT,
        "next_start_at": AT,
        "paused_at": None,
        "paused_by": "",
        "paused_reason": "",
        "problem": None,
        **more,
    }


def start(**more: Any) -> dict[str, Any]:
    names = {"id": 7, "at": AT, "until": None, "cause": "planned", "outcome": "STARTED", "reason": "", "by": ""}
    return {**names, "run_id": "019abc4e-7b0f-7cc3-98d2-1f0c2a5d9e11", "decided_at": AT, **more}


def reply(body: Any, status: int = 200) -> bytes:
    return answer(status, json.dumps(body).encode())


def called(arguments: list[str], replies: list[bytes], capsys: pytest.CaptureFixture[str]) -> str:
    with scripted(replies) as server:
        assert run([*arguments, "--url", server.url]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_all_pages_are_listed_and_a_hostile_reason_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = schedule("b", paused_at=AT, paused_reason="\x1b[31mred")
    pages = [{"items": [schedule("a")], "next_cursor": "a"}, {"items": [hostile], "next_cursor": None}]
    told = called(["schedules", "list"], [reply(page) for page in pages], capsys)
    assert [line.split()[0] for line in told.splitlines()] == ["SCHEDULE", "a", "b"]
    assert "paused" in told
    assert "\x1b" not in told


def test_a_file_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "daily.json"
    file.write_text('{"workflow": "look-up", "every": "1d", "catch_up": "latest", "overlap": "skip"}')
    done = reply({"name": "daily", "version": 2, "changed": True})
    assert called(["schedules", "put", "daily", str(file)], [done], capsys) == "daily version 2\n"


def test_what_became_of_moments_and_a_start_now(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"items": [start(), start(outcome="SKIPPED", run_id=None, reason="was missed", until=AT)]}
    told = called(["schedules", "starts", "daily"], [reply({**rows, "next_cursor": None})], capsys)
    assert "was missed to 2026-11-30" in told
    assert "STARTED" in called(["schedules", "trigger", "daily"], [reply(start(), 202)], capsys)


def test_a_backfill_only_says_what_it_would_do_until_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"at": AT, "starts": True, "known": None}]
    span = ["--from", "2026-11-29T00:00:00Z", "--to", "2026-12-01T00:00:00Z"]
    said = reply({"dry_run": True, "starts": 1, "items": items})
    assert called(["schedules", "backfill", "daily", *span], [said], capsys).endswith("1 runs would start\n")
    done = reply({"dry_run": False, "starts": 1, "items": items}, 202)
    told = called(["schedules", "backfill", "daily", *span, "--start", "--json"], [done], capsys)
    assert json.loads(told)["starts"] == 1


def test_pause_resume_preview_and_delete(capsys: pytest.CaptureFixture[str]) -> None:
    paused = reply(schedule("daily", paused_at=AT, paused_reason="audit"))
    assert "audit" in called(["schedules", "pause", "daily", "--reason", "audit"], [paused], capsys)
    assert "active" in called(["schedules", "resume", "daily"], [reply(schedule("daily"))], capsys)
    coming = {"at": AT, "local": AT, "starts_at": AT, "planned": AT}
    assert "2026-11-30" in called(["schedules", "preview", "daily"], [reply({"items": [coming]})], capsys)
    called(["schedules", "delete", "daily"], [answer(204, b"")], capsys)
