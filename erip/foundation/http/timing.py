"""How long requests take, by route: from their arrival in this process until the answer begins.

A route is the method and the address as the URL configuration writes it, `GET /api/v1/runs/{id}`, never the path that
was asked for. The pages of the admin are one route, and so is everything that no address matches or that is refused
before one is looked for. A start that waits for its run (`Prefer: wait`) is a route of its own: how long it takes is
the caller's choice. A stream counts until it begins.

Note [The route of a request]
The time is taken outside of all that answers (`answers.SafeAnswers`), and the route is found deep inside, on one of
several ways. So the scope carries a list from the outside in; whoever finds the route puts its name there. The layers
copy the scope, but not the list.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, MutableMapping
from functools import lru_cache
from time import perf_counter
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily

from erip.foundation.process.timings import MOST, OTHER, histogram

Scope = MutableMapping[str, Any]

_KEY: Final = "erip.request"
#: places in the list: when the request came, its route if that is known, and whether it was answered
_BEGAN, _METHOD, _ADDRESS, _WAITS, _ANSWERED = range(5)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: addresses that many routes share: these have one name
_SHARED: Final = ("/admin/", "/health/", "/static/")
UNMATCHED: Final = "unmatched"
WAITS: Final = " (waits)"
BOUNDS: Final = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)
#: (method, address, whether it waits, status) that are remembered with their rows
_REMEMBERED: Final = 2_000


class Requests:
    """What was counted. Only the event loop's thread writes; any thread may read."""

    def __init__(self) -> None:
        #: (route, status) → how many fell into each bucket, and the sum of their seconds
        self._rows: dict[tuple[str, str], list[float]] = {}
        self._places: dict[tuple[Any, ...], list[float]] = {}

    def note(self, found: list[Any], scope: Scope, status: int) -> None:
        """status: 0 if there was no answer."""
        key = (found[_METHOD], found[_ADDRESS], found[_WAITS], status)
        row = self._places.get(key)
        if row is None:
            row = self._place(key, scope)
        seconds = perf_counter() - found[_BEGAN]
        row[bisect_left(BOUNDS, seconds)] += 1.0
        row[-1] += seconds

    def _place(self, key: tuple[str, str, bool, int], scope: Scope) -> list[float]:
        method, address, waits, status = key
        route = name_of(method, address) + (WAITS if waits else "") if address else _shared(scope)
        place = route, f"{status // 100}xx" if status else "none"
        if place not in self._rows:
            routes = {route for route, _ in self._rows}
            if route not in routes and len(routes) >= MOST:
                place = OTHER, place[1]
        row = self._rows.setdefault(place, [0.0] * (len(BOUNDS) + 2))
        if address:
            if len(self._places) >= _REMEMBERED:
                self._places.clear()
            self._places[key] = row
        return row

    def collect(self) -> Iterator[Any]:
        rows = {key: list(row) for key, row in dict(self._rows).items()}
        answered: dict[tuple[str, ...], list[float]] = {}
        counts = CounterMetricFamily("erip_http_requests", _COUNTED, labels=["route", "status"])
        for (route, status), row in rows.items():
            counts.add_metric([route, status], sum(row[:-1]))
            if status != "none":
                answered[(route,)] = [
                    sum(pair) for pair in zip(answered.get((route,), [0.0] * len(row)), row, strict=True)
                ]
        yield histogram("erip_http_request_seconds", _TIMED, ["route"], BOUNDS, answered)
        yield counts


_TIMED = "By `route`: time until the answer to a request begins."
_COUNTED = "By `route` and `status` (`2xx` … `5xx`; `none`: the client left before): requests."
REQUESTS = Requests()
REGISTRY = CollectorRegistry()
REGISTRY.register(REQUESTS)


def begin(scope: Scope) -> None:
    """A request has come."""
    scope[_KEY] = [perf_counter(), "", "", False, False]


def found_route(scope: Scope, method: str, address: str) -> None:
    """It is one to this address, as the URL configuration writes it."""
    if (found := scope.get(_KEY)) is not None:
        found[_METHOD], found[_ADDRESS] = method, address


def found_wait(scope: Scope) -> None:
    """Its answer waits for a run, as its caller wanted."""
    if (found := scope.get(_KEY)) is not None:
        found[_WAITS] = True


def answered(scope: Scope, status: int) -> None:
    """Its answer begins."""
    found = scope[_KEY]
    found[_ANSWERED] = True
    REQUESTS.note(found, scope, status)


def ended(scope: Scope) -> None:
    """Nothing more is done about it."""
    found = scope[_KEY]
    if not found[_ANSWERED]:
        REQUESTS.note(found, scope, 0)


@lru_cache(maxsize=1_024)
def name_of(method: str, address: str) -> str:
    """`GET /api/v1/runs/{id}` of `api/v1/runs/<uuid:id>`, or of a regular expression with named groups."""
    text = re.sub(r"\(\?P<(\w+)>.*?\)(?=/|$)", r"{\1}", address.strip("/^$"))
    text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", text)
    shown = next((one for one in _SHARED if f"/{text}/".startswith(one)), f"/{text}")
    return f"{method if method in _METHODS else 'OTHER'} {shown}"


def _shared(scope: Scope) -> str:
    """The route of a request of which no address is known."""
    shared = next((one for one in _SHARED if scope["path"].startswith(one)), None)
    return name_of(scope["method"], shared) if shared else UNMATCHED
