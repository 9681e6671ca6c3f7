"""Requests are counted by route, and no request makes a series of its own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from erip.foundation.hooks import light_routes
from erip.foundation.http import timing
from erip.foundation.http.answers import SafeAnswers
from erip.foundation.process.timings import MOST, OTHER


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> timing.Requests:
    fresh = timing.Requests()
    monkeypatch.setattr(timing, "REQUESTS", fresh)
    return fresh


def counted(requests: timing.Requests) -> dict[tuple[str, str], float]:
    return {
        (one.labels["route"], one.labels["status"]): one.value
        for family in requests.collect()
        for one in family.samples
        if one.name == "erip_http_requests_total"
    }


def addresses(resolver: Any = None, before: str = "") -> list[str]:
    found = []
    for each in (resolver or get_resolver()).url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            found += addresses(each, route)
        elif isinstance(each, URLPattern):
            found.append(route)
    return found


def ask(answer: Callable[..., Any], path: str = "/api/v1/runs/1", method: str = "GET") -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        # As the layers in between do.
        answered = answer(dict(scope))
        if answered is None:
            return
        await send({"type": "http.response.start", "status": answered, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {"type": "http", "path": path, "method": method, "headers": []}

    async def nothing(*_: Any) -> None:
        """A client that sends and reads nothing more."""

    asyncio.run(SafeAnswers(app)(scope, nothing, nothing))


def found(address: str, status: int | None, *, waits: bool = False, method: str = "GET") -> Callable[..., Any]:
    def answer(scope: Any) -> int | None:
        timing.found_route(scope, method, address)
        if waits:
            timing.found_wait(scope)
        return status

    return answer


def test_a_request_is_counted_by_its_route_and_status(requests: timing.Requests) -> None:
    for status in (200, 201, 404, 503, None):
        ask(found("api/v1/runs/<uuid:id>", status))
    ask(found("api/v1/workflows/<workflow:name>/runs", 202, method="POST"))
    ask(found("api/v1/workflows/<workflow:name>/runs", 200, method="POST", waits=True))

    assert counted(requests) == {
        ("GET /api/v1/runs/{id}", "2xx"): 2,
        ("GET /api/v1/runs/{id}", "4xx"): 1,
        ("GET /api/v1/runs/{id}", "5xx"): 1,
        ("GET /api/v1/runs/{id}", "none"): 1,
        ("POST /api/v1/workflows/{name}/runs", "2xx"): 1,
        ("POST /api/v1/workflows/{name}/runs (waits)", "2xx"): 1,
    }
    times = next(iter(requests.collect()))
    counts = {one.labels["route"]: one.value for one in times.samples if one.name.endswith("_count")}
    assert counts["GET /api/v1/runs/{id}"] == 4, "what was not answered took no time to answer"


def test_strangers_make_no_series(requests: timing.Requests) -> None:
    for number in range(50):
        ask(lambda _: 404, path=f"/.env/{number}", method=f"BREW{number}")
        ask(lambda _: 200, path="/health/live")
        ask(lambda _: 302, path=f"/admin/{number}")
        ask(found("api/v1/runs", 405, method=f"BREW{number}"))

    assert counted(requests) == {
        (timing.UNMATCHED, "4xx"): 50,
        ("GET /health/", "2xx"): 50,
        ("GET /admin/", "3xx"): 50,
        ("OTHER /api/v1/runs", "4xx"): 50,
    }


def test_routes_beyond_the_limit_are_counted_together(requests: timing.Requests) -> None:
    for number in range(MOST + 5):
        ask(found(f"r{number}", 200))
        ask(found(f"r{number}", 500))

    known = counted(requests)
    assert known[OTHER, "2xx"] == known[OTHER, "5xx"] == 5
    assert len({route for route, _ in known}) == MOST + 1


def test_every_address_has_a_plain_name_and_the_light_path_calls_it_the_same() -> None:
    names = {timing.name_of("GET", address) for address in addresses()}
    assert not [name for name in names if any(sign in name for sign in "<>()?\\^$*")]
    assert "GET /api/v1/runs/{id}" in names

    light = [route for routes in light_routes.all() for route in routes()]
    assert len(light) >= 5
    for route in light:
        assert timing.name_of("GET", route.path.pattern) in names
