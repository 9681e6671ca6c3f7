"""Processes that are killed at each step of gathering events and of starting their run: `python -m
tests.support.killed_gathering`. It prints how many were killed.

Process number n takes one event, as a consumer and then as a leader does, and is killed at its n-th step: before or
after a commit, and with `all` before a statement, too. The last ones get through, and work off what the others left.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

#: more than there are steps
MOST = 60


class Killer:
    """Ends the process at its n-th step; None: never."""

    def __init__(self, n: int | None) -> None:
        self.left = n

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        self.step()
        return execute(*args)


def prepare() -> None:
    from django.db import connections

    from tests.support.events import new_worker
    from workflows.events import active
    from workflows.events.conf import conf
    from workflows.events.models import Partition
    from workflows.events.store import months, owners

    owners.ensure_partitions(conf().partitions)
    months.ensure_months_ahead(1)
    Partition.objects.update(owner_id=new_worker())
    active.active()
    connections.close_all()  # no child may use this process's connection


def work(n: int) -> None:
    from django.db import connection

    from tests.support.events import accept, event
    from workflows.events import gathering, rounds
    from workflows.events.conf import conf
    from workflows.events.models import Partition
    from workflows.events.triggers import Triggers

    worker = Partition.objects.values_list("owner_id", flat=True)[0]
    accept([event(type="acme.found", id=f"event-{n}", subject=f"case-{n}", data={"n": n})])
    killer = Killer(n)
    commit = connection.commit

    def committing() -> None:
        killer.step()
        commit()
        killer.step()

    connection.commit = committing  # type: ignore[method-assign]
    limits = dict.fromkeys(range(conf().partitions), 1_000)
    with connection.execute_wrapper(killer if "all" in sys.argv else lambda execute, *args: execute(*args)):
        rounds.run(
            worker,
            limits,
            [Triggers()],
            given_up={},
            guard=lambda effect, round: effect.apply(round),
            rates=lambda counts: {},
        )
        gathering.start_due(until=float("inf"))


def main() -> None:
    import django

    django.setup()
    prepare()
    killed, through, n = 0, 0, 0
    while through < 2 and n < MOST:
        n += 1
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(n)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.waitstatus_to_exitcode(status) == 0:
            through += 1
        else:
            sys.exit(f"process {n} failed")
    print(killed, n)


if __name__ == "__main__":
    main()
