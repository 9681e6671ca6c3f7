"""Who is named as the cause while a fault is in: `GET /health`, asked twice a second as somebody who looks would."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..client import Client
from ..uptime.kinds import Role
from ..uptime.topology import Victim

#: seconds within which the cause must be named, and between two questions
WITHIN, EVERY = 10.0, 0.5

#: the component that a fault hits
HIT = {
    Role.REDIS_MASTER: "redis",
    Role.REDIS_REPLICA: "redis",
    Role.SENTINEL: "sentinel",
    Role.POSTGRES_PRIMARY: "postgresql",
    Role.POSTGRES_PRIMARY_NODE: "postgresql",
    Role.POSTGRES_REPLICA: "postgresql",
    Role.ETCD_LEADER: "etcd",
    Role.WEB: "web",
    Role.WORKER: "worker",
    Role.LEADER: "leader",
}


@dataclass(frozen=True, slots=True)
class Named:
    """What one answer named first. after: seconds since the fault; component: None: nothing that began since then.

    all: everything that it named, for whoever wants to understand a miss.
    """

    after: float
    component: str | None
    members: tuple[str, ...] = ()
    sentence: str = ""
    all: str = ""


@dataclass
class Naming:
    """All that was named in WITHIN seconds after a fault."""

    right: str
    victim: Victim
    named: list[Named] = field(default_factory=list)
    unanswered: int = 0

    @property
    def first_right(self) -> float | None:
        """Seconds until the right component was named first for good: nothing else was named after it."""
        found = None
        for one in self.named:
            if one.component == self.right:
                found = one.after if found is None else found
            elif one.component is not None:
                found = None
        return found

    @property
    def wrong(self) -> list[str]:
        """What else was named first at some moment."""
        return sorted({one.component for one in self.named if one.component not in (None, self.right)})

    @property
    def last(self) -> Named | None:
        return next((one for one in reversed(self.named) if one.component is not None), None)

    @property
    def turns(self) -> list[Named]:
        """The answers that named something else than the one before."""
        return [
            one
            for before, one in zip([None, *self.named], self.named, strict=False)
            if not before or before.all != one.all
        ]

    @property
    def right_member(self) -> bool:
        """Whether the victim itself was among what was named in the end."""
        last = self.last
        if last is None or last.component != self.right:
            return False
        marks = [
            self.victim.name,
            *(f":{port}" for port in self.victim.ports),
            *(f"/{pid}" for pid in self.victim.pids),
        ]
        return any(member == mark or member.endswith(mark) for member in last.members for mark in marks)


def first_of(document: dict[str, Any], since: float) -> tuple[str | None, dict[str, Any]]:
    """The component that an answer names first, if that began after this moment (seconds since the epoch)."""
    causes: Sequence[dict[str, Any]] = document.get("causes") or []
    if not causes or _seconds(causes[0]["began_by"]) < since:
        return None, {}
    return str(causes[0]["component"]), causes[0]


def all_of(document: dict[str, Any], fault_at: float) -> str:
    """All causes that an answer names, in one line: when each began, in seconds after the fault, and its weight."""
    return "; ".join(
        f"{one['component']} ({_seconds(one['began_by']) - fault_at:+.1f} s, {one['weight']:.2f}): {one['sentence']}"
        for one in document.get("causes") or []
    )


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


async def name(client: Client, naming: Naming, fault_at: float) -> None:
    """Ask for WITHIN seconds after `fault_at` (time.time())."""

    async def ask() -> None:
        try:
            answer = await client.request("GET", "/health", seconds=5)
        except OSError:
            naming.unanswered += 1
            return
        after = time.time() - fault_at
        if answer.status != 200 or after > WITHIN:
            naming.unanswered += answer.status != 200
            return
        # The clocks of one machine agree; what was seen changed a moment before was changed by the fault.
        component, cause = first_of(answer.json(), fault_at - 0.5)
        said = Named(
            after,
            component,
            tuple(cause.get("members", ())),
            cause.get("sentence", ""),
            all_of(answer.json(), fault_at),
        )
        naming.named.append(said)

    async with asyncio.TaskGroup() as tasks:
        while time.time() - fault_at < WITHIN:
            tasks.create_task(ask())
            await asyncio.sleep(EVERY)
    naming.named.sort(key=lambda one: one.after)
