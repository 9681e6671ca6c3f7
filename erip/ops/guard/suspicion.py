"""When a standby's guard considers the leader's node dead: pure, one look after the other."""

from dataclasses import dataclass, replace

from erip.ops.guard.probes import Reach

#: looks in a row that find nobody listening at both ports
REFUSALS = 3
#: seconds of silence at a port: it may only be slow
SILENCE = 1.2


@dataclass(frozen=True)
class Suspicion:
    """Against one leadership (the leader key's revision). Both ports must be dead at every look."""

    revision: int
    since: float
    looks: int = 1
    silent: bool = False

    def ripe(self, now: float) -> bool:
        """Whether to act on it."""
        return now - self.since >= SILENCE if self.silent else self.looks >= REFUSALS


def look(held: Suspicion | None, now: float, revision: int, patroni: Reach, postgres: Reach) -> Suspicion | None:
    """The suspicion after one more look; None as soon as a port answers, or another leadership has begun."""
    if Reach.ANSWERS in (patroni, postgres):
        return None
    silent = Reach.SILENT in (patroni, postgres)
    if held is None or held.revision != revision:
        return Suspicion(revision, now, silent=silent)
    # Refused now and silent before (or the other way round): the slower rule holds.
    return replace(held, looks=held.looks + 1, silent=held.silent or silent)
