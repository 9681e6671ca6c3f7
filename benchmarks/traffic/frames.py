"""Requests by route from PULSE, over `GET /api/v1/metrics/query`: rates of what every web process answered."""

from typing import Any, Final

import httpx

from erip.foundation.http.timing import WAITS
from erip.foundation.process.timings import OTHER

from ..errors import Missing
from .recording import Seen

METRIC: Final = "erip_http_requests_total"
#: points of a query; it answers 1,000 at most
_POINTS: Final = 900
#: bytes of an answer: 100 series of 1,000 points are a quarter of it
_LARGEST: Final = 32 * 2**20
_STATUSES: Final = {"2xx": 200, "3xx": 300, "4xx": 400, "5xx": 500, "none": 0}


def ask(url: str, key: str, *, seconds: int, end: str | None) -> dict[str, Any]:
    """The answer of the query. Raises Missing where there is none."""
    step = -(-seconds // _POINTS // 60) * 60 or 60
    asked = {"metric": METRIC, "by": "route,status", "range": f"{seconds}s", "step": f"{step}s"}
    asked |= {"end": end} if end else {}
    try:
        with httpx.stream(
            "GET",
            f"{url.rstrip('/')}/api/v1/metrics/query",
            params=asked,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        ) as answer:
            content = b""
            for part in answer.iter_bytes():
                content += part
                if len(content) > _LARGEST:
                    raise Missing(f"The answer of {url} is larger than {_LARGEST:,} bytes.")
            if answer.status_code != 200:
                said = content[:300].decode("utf-8", "replace")
                raise Missing(f"{url} does not say its rates: {answer.status_code} {said}")
            found: dict[str, Any] = httpx.Response(200, content=content).json()
            return found
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise Missing(f"{url} does not answer: {type(error).__name__} {error}") from None


def read(answer: dict[str, Any], seen: Seen) -> None:
    """Add what the answer says. A point without a value is no request: nothing is known of it. Raises Missing."""
    try:
        seen.step = int(answer["step"])
        for line in answer["lines"]:
            route, status = str(line["labels"]["route"]), str(line["labels"]["status"])
            waits = route.endswith(WAITS)
            method, _, path = route.removesuffix(WAITS).partition(" ")
            for at, mean, *_ in line["points"]:
                count = float(mean) * seen.step
                if route == OTHER:
                    seen.left_out["requests were of routes beyond those that PULSE tells apart"] += count
                elif count > 0:
                    seen.add(int(at) // seen.step, method, path, _STATUSES.get(status, 0), count=count, waits=waits)
                else:
                    seen.know(int(at) // seen.step)
        seen.choose()
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise Missing(f"The answer has not the shape of rates: {type(error).__name__} {error}") from None
