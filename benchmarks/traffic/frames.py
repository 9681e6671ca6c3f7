"""Requests by route from PULSE, over `GET /api/v1/metrics/query`: rates of what every web process answered."""

from datetime import UTC, datetime
from typing import Any, Final

import httpx

from erip.foundation.http.timing import WAITS
from erip.foundation.process.timings import OTHER
from monitoring.core.frames import TICK, TIERS

from ..errors import Missing
from .recording import Seen

METRIC: Final = "erip_http_requests_total"
#: seconds of a query: its points are ten seconds apart, and at most 1,000
_LONGEST: Final = 900 * TICK
#: bytes of an answer: 100 series of 1,000 points are a quarter of it
_LARGEST: Final = 32 * 2**20
#: requests a second that no deployment has
_MOST: Final = 1e7
#: seconds since the epoch, in 1973: no range of PULSE ends before
_EARLIEST: Final = 10**8
_STATUSES: Final = {"2xx": 200, "3xx": 300, "4xx": 400, "5xx": 500, "none": 0}


def record(url: str, key: str, seen: Seen, *, seconds: int, end: str | None) -> None:
    """Add the requests of the last `seconds` before `end` (None: now) to `seen`. Raises Missing where a deployment does
    not answer, or says something else.

    Note [Seconds that are known]. PULSE's points are means of what is known: a route has no value before it was first
    asked for, and the newest minute is not over. So a mean over a minute, times sixty, is up to six times the requests
    that there were. The finest frames are asked for instead, as many queries as that takes, and each counts for its own
    ten seconds. Seconds without any frame are not in the profile: they are unknown, and not without requests."""
    # By the deployment's own clock.
    first = ask(url, key, {"range": "60s", **({"end": end} if end else {})})
    until = _moment(first)
    queries = -(-seconds // _LONGEST)
    each = -(-seconds // queries // TICK) * TICK
    for number in range(queries):
        end_at, span = until - number * each, min(each, seconds - number * each)
        at = datetime.fromtimestamp(end_at, UTC).isoformat().replace("+00:00", "Z")
        read(ask(url, key, {"range": f"{span}s", "step": f"{TICK}s", "end": at}), seen, end_at - span, end_at)
    unknown = max(0.0, seconds - sum(seen.known.values()))
    seen.left_out["seconds of the range are unknown: PULSE has no frames of them"] += unknown


def _moment(answer: dict[str, Any]) -> int:
    """Where the range ends, in seconds since the epoch, at the end of a frame."""
    try:
        until = int(datetime.fromisoformat(answer["until"]).timestamp()) // TICK * TICK
        if until < _EARLIEST:
            raise ValueError(f"a range that ends at {answer['until']}")
        return until
    except (LookupError, TypeError, ValueError, OverflowError, OSError) as error:
        raise Missing(f"The answer has not the shape of rates: {type(error).__name__} {error}") from None


def ask(url: str, key: str, asked: dict[str, str]) -> dict[str, Any]:
    """The answer of a query. Raises Missing where there is none."""
    try:
        with httpx.stream(
            "GET",
            f"{url.rstrip('/')}/api/v1/metrics/query",
            params={"metric": METRIC, "by": "route,status", **asked},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        ) as answer:
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > _LARGEST:
                    raise Missing(f"The answer of {url} is larger than {_LARGEST:,} bytes.")
            if answer.status_code != 200:
                # Of what a stranger says nothing may move a terminal's cursor.
                said = "".join(one if one.isprintable() else " " for one in content[:300].decode("utf-8", "replace"))
                raise Missing(f"{url} does not say its rates: {answer.status_code} {said}")
            found: dict[str, Any] = httpx.Response(200, content=bytes(content)).json()
            return found
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise Missing(f"{url} does not answer: {type(error).__name__} {error}") from None


def read(answer: dict[str, Any], seen: Seen, begin: int, until: int) -> None:
    """Add what an answer says of the time from `begin` to `until`, in seconds since the epoch. Raises Missing.

    A point is the mean of the `step` seconds before it."""
    try:
        step = int(answer["step"])
        if step not in {tier.seconds for tier in TIERS}:
            raise ValueError(f"a step of {step} s")
        minutes = max(1, step // 60)
        ends: set[int] = set()
        for line in answer["lines"]:
            route, status = str(line["labels"]["route"]), str(line["labels"]["status"])
            waits = route.endswith(WAITS)
            method, _, path = route.removesuffix(WAITS).partition(" ")
            for at, mean, *_ in line["points"]:
                end, count = int(at), float(mean) * step
                if not begin < end < until + step or not 0 <= count < _MOST * step:
                    raise ValueError(f"a rate of {count / step:g} at {end}")
                ends.add(end)
                if route == OTHER:
                    seen.left_out["requests were of routes beyond those that PULSE tells apart"] += count
                elif count > 0:
                    for minute in range((end - step) // 60, (end - step) // 60 + minutes):
                        seen.add(minute, method, path, _STATUSES.get(status, 0), count=count / minutes, waits=waits)
        for end in ends:
            for minute in range((end - step) // 60, (end - step) // 60 + minutes):
                seen.know(minute, step / minutes)
        if step == TIERS[1].seconds:
            seen.left_out["seconds are known by means of whole minutes alone, which may count too much"] += step * len(
                ends
            )
        elif step == TIERS[-1].seconds:
            seen.left_out["seconds are known by means of whole hours alone, without their peaks"] += step * len(ends)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise Missing(f"The answer has not the shape of rates: {type(error).__name__} {error}") from None
