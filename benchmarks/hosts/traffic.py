"""Breach responses, one after the other, by https through HAProxy; who was answered is remembered."""

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[2] / "workflows" / "library" / "samples" / "incident.json"
URL = "https://10.0.0.31/api/v1"
#: seconds between two runs, and before a refused one is sent again
PACE, AGAIN = 0.5, 0.2
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"})


class Traffic:
    """A client that goes on until `stop`. A request without an answer is sent again with the same Idempotency-Key."""

    def __init__(self, key: str, ca: Path) -> None:
        self._key = key
        self._context = ssl.create_default_context(cafile=str(ca))
        self._incident = json.loads(SAMPLE.read_text()) | {"iterations": 1000}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        #: ids of runs that were accepted, and the moments of it
        self.accepted: list[str] = []
        self._moments: list[float] = []
        self.tried_again = 0
        self.refused: list[str] = []

    def start(self) -> None:
        self._moments.append(time.monotonic())
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def longest_pause(self, since: float) -> float:
        """Seconds between two runs that were accepted one after the other, at or after this moment."""
        moments = [*self._moments, time.monotonic()]
        return max(b - a for a, b in pairwise(moments) if b >= since)

    def run(self, run_id: str) -> dict[str, Any]:
        """Raises OSError while nobody answers."""
        return self._call("GET", f"/runs/{run_id}", None, {})

    def wait_for_ends(self, seconds: float) -> dict[str, int]:
        """How many of the accepted runs have which status, when all have ended or the time is over."""
        statuses, until = dict.fromkeys(self.accepted, ""), time.monotonic() + seconds
        while time.monotonic() < until and (open_ones := [key for key, one in statuses.items() if one not in ENDED]):
            for run_id in open_ones:
                try:
                    statuses[run_id] = str(self.run(run_id)["status"])
                except OSError:
                    time.sleep(AGAIN)
            time.sleep(AGAIN)
        found = list(statuses.values())
        return {one: found.count(one) for one in sorted(set(found))}

    def _go_on(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            self._accept(f"HOSTS-{number}")
            self._stop.wait(PACE)

    def _accept(self, name: str) -> None:
        body = {"input": {**self._incident, "breach_id": name}, "business_key": name}
        while not self._stop.is_set():
            try:
                found = self._call("POST", "/workflows/breach-response/runs", body, {"Idempotency-Key": name})
            except urllib.error.HTTPError as error:
                if error.code in (400, 401, 403, 404, 422):
                    self.refused.append(f"{error.code}: {error.read()[:300]!r}")
                    return
            except (OSError, ValueError):
                pass
            else:
                self.accepted.append(str(found["id"]))
                self._moments.append(time.monotonic())
                return
            self.tried_again += 1
            self._stop.wait(AGAIN)

    def _call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 (our own site)
            URL + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=5, context=self._context) as answer:  # noqa: S310  # nosec B310
            return dict(json.load(answer))
