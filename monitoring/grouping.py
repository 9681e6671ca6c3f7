"""Groups what has failed, as the engine and the event bus have stored it: one service in every leader process.

Whichever of them holds a source's cursor reads; the others find it taken, or nothing new (Note [Cursors]).
"""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from cachetools import LRUCache, cached
from django.db import Error as DatabaseError
from django.db import transaction

from erip.foundation.process.background import database_service
from erip.foundation.service import Service
from monitoring import error_counters, store
from monitoring.conf import conf
from monitoring.core.fingerprints import Error, Kind, Source, kind_of
from monitoring.core.groups import Definition, Link, Tallies
from monitoring.reporting import may_wait
from monitoring.store.error_sources import WINDOW, Place
from workflows.graphs import graph_of

log = structlog.get_logger(__name__)

#: seconds between two readings, and that one may take while there is a backlog: a fifth of a core at most
EVERY, BUDGET = 10.0, 2.0
#: seconds between two times that old ones are forgotten, and rows that one of them deletes
FORGET_EVERY, MOST = 600.0, 5_000


def read(source: Source, *, window: int = WINDOW) -> bool:
    """Group what has failed since the last time. Returns whether there is more to be read. Raises django.db.Error."""
    with transaction.atomic():
        place = store.take_place(str(source), window=window)
        if place is None:
            return False
        tallies = Tallies(most=WINDOW)
        until = _READERS[source](place, tallies)
        kept = store.keep_errors(tallies, release=conf().release)
        store.move(place, until=until)
    error_counters.count(kept)
    return place.more or until < place.until


def _attempts(place: Place, tallies: Tallies) -> int:
    for one in store.failed_attempts(place):
        error = _parsed(one.error)
        kind = _kind(
            Source.ATTEMPT,
            _uses(one.version_id, one.step) or f"{one.workflow}.{one.step}",
            str(error.get("code") or ""),
            str(error.get("type") or ""),
            str(error.get("message") or ""),
            one.traceback,
        )
        definition = Definition(one.workflow, one.version) if one.version else None
        links = [Link("run", run, one.last, one.step) for run in reversed(one.runs)]
        tallies.add(kind, one.last, count=one.count, first=one.first, links=links, definition=definition)
    return place.until


def _letters(place: Place, tallies: Tallies) -> int:
    for one in store.dead_letters(place):
        what = f"{one.effect}: {one.target}" if one.target else one.effect
        kind = _kind(Source.DEAD_LETTER, what, one.code, "", one.message, "")
        tallies.add(kind, one.at, links=[Link("dead_letter", str(one.id), one.at, one.type)])
    return place.until


def _deliveries(place: Place, tallies: Tallies) -> int:
    found, until = store.given_up(place)
    for one in found:
        code = f"answered_{one.status}" if one.status is not None else "no_answer"
        message = "" if one.status is not None else one.error
        kind = _kind(Source.DELIVERY, _host(one.url), code, "", message, "")
        tallies.add(kind, one.at, links=[Link("delivery", str(one.id), one.at, one.type)])
    return until


_READERS: Final[dict[Source, Callable[[Place, Tallies], int]]] = {
    Source.ATTEMPT: _attempts,
    Source.DEAD_LETTER: _letters,
    Source.DELIVERY: _deliveries,
}


class Grouping:
    """Reads all sources in turn. For one thread."""

    def __init__(self) -> None:
        self._forgot = time.monotonic()

    def turn(self) -> None:
        """Raises django.db.Error."""
        deadline = time.monotonic() + BUDGET
        more = set(_READERS)
        while more and time.monotonic() < deadline:
            more = {source for source in more if read(source)}
        if time.monotonic() - self._forgot >= FORGET_EVERY:
            self._forgot = time.monotonic()
            store.forget_errors(most=MOST)


def begin() -> Service:
    """Group in this process from now on."""
    service = database_service(
        "group-errors", Grouping().turn, keeps=False, every=EVERY, back_off=(EVERY, 60.0), expected=may_wait
    )
    return service.start()


def _parsed(error: Any) -> dict[str, Any]:
    """A failure's error, which a body's code may have put together."""
    try:
        found = json.loads(error) if isinstance(error, str) else error
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {"message": str(found)}


@cached(LRUCache(maxsize=2_000))
def _uses(version_id: int | None, step: str) -> str:
    """What a step of a definition uses; its kind, if it uses nothing; "" if that cannot be known. Raises
    django.db.Error: that passes, so it must not be remembered."""
    if version_id is None:
        return ""
    try:
        node = graph_of(version_id).steps[step]
    except DatabaseError:
        raise
    except Exception as error:
        log.warning("step_not_known", version_id=version_id, step=step, error=error)
        return ""
    return node.work.uses if node.work is not None else f"{node.kind}: {step}"


_kinds: LRUCache[bytes, Kind] = LRUCache(maxsize=2_000)


def _kind(source: Source, what: str, code: str, type: str, message: str, traceback: str) -> Kind:
    """`kind_of`, which takes longer than to know an error again."""
    text = "\0".join((source, what, code, type, message, traceback)).encode("utf-8", "replace")
    key = hashlib.blake2b(text, digest_size=16).digest()
    found = _kinds.get(key)
    if found is None:
        found = _kinds[key] = kind_of(Error(source, what, code, type, message, traceback))
    return found


def _host(url: str) -> str:
    """The receiver. The rest of its address may contain tokens."""
    try:
        return (urlsplit(url).hostname or "")[:200]
    except ValueError:
        return ""
