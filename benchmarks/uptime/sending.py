"""Events as the fleet sends them: batches of one key with numbers that count up, so that their order can be checked.

Order is promised to a client that waits for an answer before it sends the next event of a key. So a key has one batch
under way at a time. When a batch gets no answer, the client gives its key up for a new one: the batch may still be
recorded, at any time.
"""

from collections import deque
from uuid import uuid4

from ..client import Answer
from .ledger import Event
from .operations import Runs
from .retries import persist
from .samples import Try

BATCH = "application/cloudevents-batch+json"
#: a type that no trigger listens to
TYPE = "benchmarks.uptime.signal"
KEYS = 24
#: events in a batch, at most
MOST = 5


class SendEvents:
    """Sends a batch. Right: 202."""

    name = "events"

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        #: of every event of this fleet
        self.source = f"/benchmarks/uptime/{uuid4().hex[:12]}"
        self._made = 0
        #: (key, number of its next event)
        self._free: deque[tuple[str, int]] = deque(self._new_key() for _ in range(KEYS))

    def ready(self) -> bool:
        return bool(self._free)

    async def ask(self) -> tuple[Try, ...]:
        runs, (key, seq) = self._runs, self._free.popleft()
        batch = [Event(f"{key}-{seq + place}", key, seq + place) for place in range(runs.random.randint(1, MOST))]
        body = [
            {
                "specversion": "1.0",
                "id": event.id,
                "source": self.source,
                "type": TYPE,
                "subject": key,
                "data": {"seq": event.seq},
            }
            for event in batch
        ]
        accepted = False

        async def send(seconds: float) -> Answer:
            # Without an Idempotency-Key, which is refused here: an event is recognised by its source and id.
            return await runs.client.request("POST", "/events", body, seconds=seconds, content_type=BATCH)

        def judge(answer: Answer) -> str | None:
            nonlocal accepted
            accepted = answer.status == 202
            return None if accepted else str(answer.status)

        tries = await persist(send, judge, runs.random)
        if accepted:
            runs.ledger.accept_events(batch)
            self._free.append((key, seq + len(batch)))
        else:
            runs.ledger.give_up(batch)
            self._free.append(self._new_key())
        return tries

    def _new_key(self) -> tuple[str, int]:
        self._made += 1
        return f"signal-{self._made}", 0
