"""Idle latency in process: a program that calls `engine.start_runs` and waits for the recorded outcome.

Run as `python -m benchmarks.inprocess COUNT RATE` with the settings of the measured stack; prints one JSON object. It
is a program of its own because Django must be set up for that stack's database.
"""

import json
import select
import sys
import time
from typing import Any

import django


def main(count: int, rate: float) -> None:
    """Prints {"seconds": [...], "ids": [...]}: the time from when a start was due until its outcome was announced."""
    django.setup()
    from django.db import connection

    from workflows import engine
    from workflows.store import RUN_ENDED_CHANNEL

    from .workloads import W4

    listening = connection.copy()
    listening.connect()
    listening.set_autocommit(True)
    with listening.cursor() as cursor:
        cursor.execute(f"LISTEN {RUN_ENDED_CHANNEL}")
    raw = listening.connection
    seconds, ids = [], []
    warm = 5
    start = time.perf_counter()
    for number in range(count + warm):
        due = start + number / rate
        if (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        request = engine.StartRequest(W4.input(number))
        (run,) = engine.start_runs(W4.workflow, [request], principal="benchmarks", notify=True)
        _await_announcement(raw, run.id)
        if number >= warm:
            seconds.append(time.perf_counter() - due)
            ids.append(run.id)
    listening.close()
    print(json.dumps({"seconds": seconds, "ids": ids}))


def _await_announcement(raw: Any, run_id: str, patience: float = 30.0) -> None:
    """The announcement comes with the commit of the outcome. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    while True:
        raw.poll()
        while raw.notifies:
            if raw.notifies.pop(0).payload == run_id:
                return
        if not select.select([raw], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"the run {run_id} did not end within {patience:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
