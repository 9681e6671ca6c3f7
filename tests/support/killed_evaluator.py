"""Evaluators of alerts that are killed or frozen: `python -m tests.support.killed_evaluator kills|freezes [STEP ...]`.

An evaluator is a process of its own, which does once what a leader does again and again: it writes a frame and judges
it, and sends what is due. `kills`: evaluator number n is killed at its n-th step (before and after each commit, and
before and after each message is sent), once while an alert begins and once while it ends; another one takes over each
time. `freezes`: one is frozen at each step, another one takes over, and then the first one is thawed. STEP: only these,
and only while an alert begins.

It prints how many were killed or frozen, and how many alerts there were.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

#: more than there are steps
MOST = 40
#: the step after a claim; seconds that whoever is frozen there stands still, and after which its claim is others'
CLAIMED, STILL, OWN = 4, 5.5, 15.0
_RULE = {
    "name": "idle", "summary": "Nothing waits", "severity": "page", "metric": "erip_lane_waiting_steps",
    "where": {"lane": "standard"}, "for": "0s", "keep_firing_for": "0s", "runbook": "work-late",
}  # fmt: skip


class Hook:
    """Signals the process itself at its n-th step; None: never."""

    def __init__(self, n: int | None, number: signal.Signals) -> None:
        self._left, self._number = n, number

    def step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._number)

    def around(self, done: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = done(*args, **kwargs)
            self.step()
            return result

        return stepping


def evaluate(n: int | None, number: signal.Signals) -> None:
    """What an evaluator does: a tick, and what is to be sent. The alert's commits, and the sending, are the steps."""
    from django.db import Error, connection

    from monitoring import paging, store
    from monitoring.collecting import Collector
    from monitoring.reporting import may_wait

    hook = Hook(n, number)
    connection.commit = hook.around(connection.commit)  # type: ignore[method-assign]
    # Each of these is one statement, and so a commit of its own.
    for name in ("claim_pages", "page_sent"):
        setattr(store, name, hook.around(getattr(store, name)))
    paging.deliver = hook.around(paging.deliver)  # type: ignore[attr-defined]
    try:
        Collector().tick()
    except Error as error:
        # PostgreSQL did not wait for one that was frozen in a transaction. Its service goes on with the next tick.
        if not may_wait(error):
            raise
        connection.close()
        Collector().tick()
    paging.send_due(**({"claimed_for": OWN} if number is signal.SIGSTOP else {}))


def time_passes() -> None:
    """The tick is over, claims have ended, and what was sent is too long ago to be a flood."""
    from django.db import connection
    from django.db.models import F
    from django.db.models.functions import Now

    from monitoring.models import Frame, Page

    Frame.objects.all().delete()
    Page.objects.update(due_at=Now(), created_at=F("created_at") - timedelta(hours=1))
    connection.close()


def condition(holds: bool) -> None:
    from monitoring import store
    from monitoring.core.rules import read_rule

    store.put_rule("idle", read_rule({**_RULE, "below": 1 if holds else -1}), by="test")


def started(n: int | None, number: signal.Signals) -> int:
    """The process id of an evaluator."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            evaluate(n, number)
            code = 0
        finally:
            os._exit(code)
    return child


def through(child: int) -> None:
    """Wait for it to get through."""
    _, status = os.waitpid(child, 0)
    if not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0):
        sys.exit(f"an evaluator failed: {status}")


def kill_one(n: int) -> bool:
    """Whether it came to its n-th step."""
    _, status = os.waitpid(child := started(n, signal.SIGKILL), 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        sys.exit(f"evaluator {child} failed")
    return False


def freeze_one(n: int) -> bool:
    """The same; what takes over while it stands still must not wait for it."""
    child = started(n, signal.SIGSTOP)
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        if os.WEXITSTATUS(status):
            sys.exit(f"evaluator {child} failed")
        return False
    try:
        frozen = time.monotonic()
        time_passes()
        through(started(None, signal.SIGKILL))
        if n == CLAIMED:
            time.sleep(max(0.0, STILL - (time.monotonic() - frozen)))
    finally:
        os.kill(child, signal.SIGCONT)
    through(child)
    return True


def main() -> None:
    import django

    django.setup()
    from django.db import connection

    from monitoring import store
    from monitoring.alerting import shipped

    hit = {"kills": kill_one, "freezes": freeze_one}[sys.argv[1]]
    only = [int(step) for step in sys.argv[2:]]
    for name in shipped():
        store.put_rule(name, None, by="test")
    connection.close()
    # The series get their places.
    through(started(None, signal.SIGKILL))
    count, alerts = 0, 0
    for n in only or range(1, MOST):
        reached = 0
        for holds in (True, False):
            condition(holds)
            time_passes()
            reached += (holds or not only) and hit(n)
            # Another one takes over; what was killed with its claim is claimed again.
            time_passes()
            through(started(None, signal.SIGKILL))
        alerts += 1
        count += reached
        if not reached:
            break
    connection.close()
    print(count, alerts)


if __name__ == "__main__":
    main()
