"""What happens after a round has failed.

Note [Poison]
A round that fails says only that one of its events failed. So its partitions are tried one at a time, apart from the
healthy ones, with fewer and fewer events, until the failing event is alone. That event is tried again after a pause
that doubles each time; its partition waits meanwhile, because later events may have the same key. In the end the event
is given up: it is logged and goes to the dead letters, and the partition continues, with more and more events again.

Note [Deaths]
An event may end the process that takes it: by its size, or by what its effects do. Its round is rolled back with the
process; the next owner would take it again, and would end too. So a partition counts the owners that have died on it
since its last successful round. After one death its rounds are small for a while (for as many events as a round may
have had). If a small round ends a process too, its events are tried one at a time, and each is noted beforehand. That
an owner ended with an event noted does not make the event the cause: whoever kills workers at random finds one noted
nearly always, and other loops of the process had rounds of their own. So the next owner tries this event first, and
nothing else in its process meanwhile (`apart`). Only if that process ends as well, the event is given up without
another try: it is not logged, and goes to the dead letters. A worker that is killed for another reason costs no more
than some small rounds: an event would be given up in vain only if its owners were killed during this one try, too.

If many events are given up one after the other, the effect is broken, not the events: a circuit breaker then holds the
partitions, so that the whole journal does not move to the dead letters. An effect can say that something it needs is
away (Unavailable): each effect has a circuit breaker for that, and no event is given up for it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from erip.foundation.circuit import Circuit
from erip.foundation.db.failures import said
from workflows.events.effects import AfterCommit, Effect, Round, Unavailable
from workflows.events.rounds import LOG, Given, RoundFailed
from workflows.events.store.owners import Suspect

log = structlog.get_logger(__name__)

#: seconds before an event that is alone in its round is tried again; twice as long each time
FIRST_PAUSE = 0.2
#: failures of what an effect needs, after which the effect is not tried for RESET seconds
UNAVAILABLE_MAX, RESET = 3, 2.0
#: events given up without a successful round in between, after which the partitions wait for a while
GIVEN_UP_MAX, GIVEN_UP_RESET = 20, 30.0
#: a round that failed is tried with this fraction of its events
SHRINK = 4
#: and after the death of an owner, rounds have this fraction of the events that they may have
SMALL = 10


@dataclass(slots=True)
class _Care:
    """A partition in which something is wrong."""

    limit: int
    failures: int = 0
    rest_until: float = 0.0
    given_up: dict[tuple[int, int, int], Given] = field(default_factory=dict)
    #: owners that died on it, and how many events must succeed before that is forgotten: Note [Deaths]
    deaths: int = 0
    to_go: int = 0
    #: whether nothing has been tried since the last owner died
    fresh: bool = False
    #: whether the next event may be one that an owner tried when it ended
    again: bool = False

    @property
    def alone(self) -> bool:
        """Whether events are noted before they are tried."""
        return self.deaths > 1


class Faults:
    """What one consumer knows about its troubled partitions. Used by its thread only."""

    def __init__(self, *, attempts: int, whole: int) -> None:
        """attempts: how often an event is tried. whole: events of a healthy partition in one round."""
        self._attempts = attempts
        self._whole = whole
        self._care: dict[int, _Care] = {}
        self._circuits: dict[str, Circuit] = {}
        self._poison = Circuit(GIVEN_UP_MAX, GIVEN_UP_RESET)

    @property
    def troubled(self) -> set[int]:
        """Partitions that have rounds of their own."""
        return set(self._care)

    def due(self, partition: int) -> tuple[int, dict[tuple[int, int, int], Given]] | None:
        """How many events of a troubled partition may be tried now, and which are given up; None: it rests."""
        care = self._care[partition]
        return None if time.monotonic() < care.rest_until else (care.limit, care.given_up)

    def died(self, partition: int, deaths: int) -> None:
        """Record that this consumer took a partition whose owners have died."""
        small = max(1, self._whole // SMALL)
        if deaths == 1:
            self._care[partition] = _Care(small, deaths=deaths, to_go=2 * self._whole, fresh=True)
        else:
            self._care[partition] = _Care(1, deaths=deaths, to_go=small, fresh=True)

    def noted(self, partition: int) -> bool:
        """Whether its next event is to be noted before it is tried."""
        return self._care[partition].alone

    def apart(self, partition: int) -> bool:
        """Whether nothing else may run in the process while its next event is tried."""
        care = self._care[partition]
        return care.fresh or care.again

    def first(self, partition: int) -> bool:
        """Whether this is the first event of it that is noted since its last owner died. True only once: if the
        answer of PostgreSQL is lost, the note may be there, and noting it again is no second owner."""
        care = self._care[partition]
        first, care.fresh = care.fresh, False
        care.again = care.again or first
        return first

    def suspected(self, partition: int, suspect: Suspect, *, first: bool) -> None:
        """Record that the next event was noted."""
        care = self._care[partition]
        if first and suspect.again and suspect.tries:
            message = f"{care.deaths} processes ended while they tried it, the last one with nothing else"
            care.given_up[(partition, suspect.block, suspect.offset)] = Given(LOG, "process_lost", message, care.deaths)
            log.error("event_set_aside", partition=partition, deaths=care.deaths)
        care.again = suspect.again

    def calmed(self, own: set[int], *, waiting: bool) -> list[int]:
        """The partitions among these whose owners have died, but whose trouble is over: enough events went well, or
        nothing waits."""
        of_dead = [(number, care) for number, care in self._care.items() if care.deaths and number in own]
        calm = [number for number, care in of_dead if care.to_go <= 0 or not waiting]
        for number in calm:
            del self._care[number]
        return calm

    def forget(self, partitions: set[int]) -> None:
        """Forget partitions that this consumer no longer owns. It may learn of that late, so deaths of owners are
        kept."""
        for partition in partitions:
            if (care := self._care.get(partition)) is not None and not care.deaths:
                del self._care[partition]

    def went_well(self, events: Mapping[int, int], *, buried: int) -> None:
        """events: partition → how many of its events were taken."""
        for partition in events.keys() & self._care.keys():
            care = self._care[partition]
            care.failures = 0
            care.given_up.clear()
            if care.deaths:
                care.to_go -= events[partition]
                continue
            care.limit *= 2
            if care.limit >= self._whole:
                del self._care[partition]
        if not buried:
            self._poison.succeeded()

    def failed(self, partitions: set[int], failure: RoundFailed) -> None:
        """A round over these partitions failed."""
        if len(partitions) > 1:
            # Which partition it was shows when each has a round of its own.
            for partition in partitions:
                self._care.setdefault(partition, _Care(self._whole))
            return
        (partition,) = partitions
        care = self._care.setdefault(partition, _Care(self._whole))
        if care.limit > 1 and failure.events > 1:
            care.limit = max(1, min(care.limit, failure.events) // SHRINK)
            return
        care.limit = 1
        care.failures += 1
        care.rest_until = time.monotonic() + FIRST_PAUSE * 2 ** (care.failures - 1)
        error = failure.error
        log.warning(
            "event_failed",
            partition=partition,
            effect=failure.effect,
            attempt=care.failures,
            error=error,
            error_type=type(error).__name__,
        )
        if care.failures < self._attempts:
            return
        if not self._may_give_up():
            log.error("many_events_given_up", effect=failure.effect, resting=GIVEN_UP_RESET)
            care.rest_until = time.monotonic() + GIVEN_UP_RESET
            return
        block, offset = failure.heads[partition]
        code = getattr(error, "code", None) or _slug(type(error).__name__)
        care.given_up[(partition, block, offset)] = Given(failure.effect, str(code), said(error), care.failures)
        care.failures = 0
        care.rest_until = 0.0

    def _may_give_up(self) -> bool:
        """Count an event that is given up; False if there were too many."""
        if not self._poison.allows():
            return False
        self._poison.failed()
        return True

    def guard(self, effect: Effect, round_: Round) -> AfterCommit | None:
        """Call the effect through its circuit. Raises Unavailable where that is open."""
        circuit = self._circuits.get(effect.name)
        if circuit is None:
            circuit = self._circuits[effect.name] = Circuit(UNAVAILABLE_MAX, RESET)
        if not circuit.allows():
            raise Unavailable(f"{effect.name} is left alone for a while")
        try:
            done = effect.apply(round_)
        except Unavailable:
            circuit.failed()
            raise
        except BaseException:
            # Such an error does not show whether what the effect needs is available.
            circuit.not_tried()
            raise
        circuit.succeeded()
        return done


def _slug(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
