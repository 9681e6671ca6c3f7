"""Errors of requests, added up in their process."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from erip.foundation import hooks
from monitoring.buffering import Buffer
from monitoring.core.fingerprints import Error, Source, kind_of
from monitoring.core.groups import LINKS, MOST_KINDS, MOST_MINUTES, Link, Tallies

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def test_whoever_answers_an_unforeseen_error_outside_of_django_announces_it() -> None:
    doors = []
    for package in ("erip", "workflows", "schedules", "people", "monitoring", "console"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text("utf-8")
            if re.search(r"(?<!def )\bfailure\(\)", text) and path.name != "problems.py":
                doors.append(path.name)
                assert "announce_failed_request(error," in text, f"{path} answers 500 and nobody hears of it"
    assert sorted(doors) == ["app.py", "door.py"]


def test_who_notes_an_error_and_breaks_changes_no_answer() -> None:
    heard = []

    def breaks(error: BaseException, asked: str) -> None:
        raise RuntimeError

    def hears(error: BaseException, asked: str) -> None:
        heard.append(asked)

    with hooks.request_failed.only(breaks, hears):
        hooks.announce_failed_request(ValueError(), "GET /x")
    assert heard == ["GET /x"]


def test_a_buffer_is_bounded_in_kinds_minutes_and_links_and_loses_no_count() -> None:
    tallies = Tallies()
    kinds = [
        kind_of(Error(Source.REQUEST, f"what {chr(97 + n % 26)}{chr(97 + n // 26)}")) for n in range(MOST_KINDS + 50)
    ]
    for number, kind in enumerate(kinds):
        tallies.add(kind, NOW, links=[Link("request", str(number), NOW)])
    for minute in range(MOST_MINUTES + 50):
        at = NOW + timedelta(minutes=minute)
        tallies.add(kinds[0], at, links=[Link("request", f"m{minute}", at)])
    assert len(tallies) <= MOST_KINDS + len(Source)
    assert sum(tally.count for tally in tallies) == len(kinds) + MOST_MINUTES + 50
    first = next(iter(tallies))
    assert len(first.minutes) == MOST_MINUTES
    assert [link.id for link in first.links] == [f"m{MOST_MINUTES + 49 - n}" for n in range(LINKS)]


def test_what_could_not_be_stored_is_counted_with_what_came_since() -> None:
    buffer, kind = Buffer(), kind_of(Error(Source.REQUEST, "x"))
    buffer.add(kind, NOW)
    taken = buffer.take()
    buffer.add(kind, NOW + timedelta(seconds=90))
    buffer.put_back(taken)
    (tally,) = buffer.take()
    assert (tally.first, tally.last) == (NOW, NOW + timedelta(seconds=90))
    assert tally.minutes == {NOW: 1, NOW + timedelta(minutes=1): 1}
    assert len(buffer) == 0


def test_threads_that_fail_at_once_are_all_counted() -> None:
    buffer = Buffer()

    def fail(name: str) -> None:
        for number in range(500):
            try:
                raise LookupError("x")
            except LookupError as error:
                buffer.add_raised(error, what="requests", link=Link("request", f"{name}{number}", NOW))

    threads = [threading.Thread(target=fail, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (tally,) = buffer.take()
    assert tally.count == 2_000
    assert tally.kind.title == "LookupError"
