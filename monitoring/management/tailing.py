"""`manage.py pulse tail`: what changes, as it happens. Works while PostgreSQL is away."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import OutputWrapper

from monitoring import health
from monitoring.api.health import document
from monitoring.watching import watching

#: seconds between two looks
EVERY = 1.0
_MARKS = {"ok": "●", "degraded": "◐", "down": "✖", "unknown": "?"}


class Tail:
    """What is new since the last look."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._causes: set[str] = set()

    def news(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        """What changed. found: as `GET /api/v1/health` answers it. The first look tells the state of all."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        news = []
        for one in found["components"]:
            if self._states.get(one["component"]) != one["state"]:
                self._states[one["component"]] = one["state"]
                news.append({"at": at, "of": one["component"], "state": one["state"], "sentence": one["sentence"]})
        for cause in found["causes"]:
            for piece in cause["evidence"]:
                # What is no event is said anew at each look, with other numbers.
                if piece["at"] is not None and piece["sentence"] not in self._causes:
                    self._causes.add(piece["sentence"])
                    news.append({"at": at, "of": cause["component"], "state": None, "sentence": piece["sentence"]})
        if not found["causes"]:
            self._causes.clear()
        return news


def show(out: OutputWrapper, *, as_json: bool, seconds: float | None) -> None:
    """Write what changes, until Ctrl-C, or for so many seconds."""
    tail = Tail()
    end = None if seconds is None else time.monotonic() + seconds
    try:
        while True:
            for one in tail.news(document()):
                out.write(json.dumps(one) if as_json else _line(one))
                out.flush()
            if end is not None and time.monotonic() + EVERY > end:
                return
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return
    finally:
        watching.stop()
        health.forget()


def _line(one: dict[str, Any]) -> str:
    mark = _MARKS.get(one["state"], "·")
    state = f" is {one['state']}" if one["state"] else ""
    return f"{one['at'][11:19]}  {mark} {one['of']}{state}: {one['sentence']}"
