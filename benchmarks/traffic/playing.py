"""Sends what a profile asks for.

Sessions begin on an open-loop schedule: Note [Coordinated omission] in `schedule`. What follows in a session needs the
answer before it, so it is due `after` seconds from that answer, as a user would send it; its latency counts from there.
A wrong answer ends its session. At most `in_flight` requests are on their way: one beyond that waits for its turn, and
its time, and its timeout, run on from when it was due. A load that is answered wrongly all the time ends: `watch`.
"""

import asyncio
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random
from typing import Any

import orjson

from ..client import Answer, Client
from ..errors import Missing
from ..schedule import begin_each
from .filling import NothingKept, Session, Values, fill_body, fill_line, names_in, texts, values_at
from .measured import Measured, reached
from .pace import moments
from .profile import Asked, Begun, Poll, Profile
from .watch import Watch


class Player:
    """One load."""

    def __init__(self, profile: Profile, client: Client) -> None:
        """client: its paths begin at the root of the service."""
        self._profile, self._client = profile, client
        self._values = Values(profile.values, profile.seed)
        self._slots = asyncio.Semaphore(profile.in_flight)
        #: bodies without placeholders
        self._ready: dict[str, bytes] = {}
        self._watch = Watch()
        self.measured = Measured()

    async def prepare(self) -> None:
        """Send what comes before the load. Raises Missing where an answer is not right, or lacks what is kept of it."""
        session = self._values.session(-1)
        for one in self._profile.before:
            try:
                path, headers, body = self._filled(one, session)
                answer = await self._client.request(
                    one.method, path, body, headers=headers, seconds=one.timeout, content_type=one.content_type
                )
            except NothingKept as error:
                raise Missing(f"before: {one.name}: there is no value for {error}.") from None
            except OSError as error:
                raise Missing(f"before: {one.name}: no answer: {type(error).__name__} {error}") from None
            if not one.right(answer.status):
                raise Missing(f"before: {one.name} was answered {answer.status}, which the profile does not expect.")
            if missing := session.keep(one.keep, _json(answer)):
                raise Missing(
                    f"before: {one.name}: the answer has nothing to keep as {', '.join(missing)}: this deployment "
                    "has none."
                )

    async def play(self, done: Callable[[int], None]) -> tuple[float, float]:
        """Returns when the load began and ended (time.perf_counter()), its last answers included."""
        profile = self._profile
        planned: dict[int, tuple[int, Begun]] = {}
        begin = time.perf_counter() + 0.01

        def dues() -> Iterator[float]:
            seed, rates = profile.seed, list(accumulate(one.rate for one in profile.begun))
            gaps = Random(f"{seed}:gaps") if profile.random else None  # noqa: S311  # nosec B311 (a load, not a secret)
            chosen = Random(f"{seed}:requests")  # noqa: S311  # nosec B311
            shown = 0
            for number, (after, phase) in enumerate(moments(profile.phases, profile.rate, gaps)):
                place = min(bisect(rates, chosen.random() * rates[-1]), len(rates) - 1)
                planned[number] = phase, profile.begun[place]
                if int(after) != shown:
                    shown = int(after)
                    done(shown)
                    if (why := self._watch.hopeless(int(time.perf_counter()))) is not None:
                        self.measured.stopped = why
                        return
                yield begin + after

        def session(number: int, due: float) -> Any:
            return self._session(number, due, *planned.pop(number))

        await begin_each(dues(), session)
        return begin, time.perf_counter()

    async def _session(self, number: int, due: float, phase: int, begun: Begun) -> None:
        self.measured.late.append(max(0.0, time.perf_counter() - due))
        session = self._values.session(number)
        right = await self._ask(begun.first, due, phase, session) is not None
        for one in begun.then:
            if not right:
                self.measured.broken_off += 1
                return
            next_due = time.perf_counter() + one.after
            await self._until(next_due)
            if self.measured.stopped:
                return
            if one.poll is None:
                right = await self._ask(one, next_due, phase, session) is not None
            else:
                right = await self._poll(one, one.poll, next_due, phase, session, since=due)

    async def _poll(self, one: Asked, poll: Poll, due: float, phase: int, session: Session, *, since: float) -> bool:
        """Whether it was reached. since: when the session was due."""
        name, until = reached(one.name), due + poll.within
        while True:
            answer = await self._ask(one, due, phase, session)
            found = values_at(_json(answer), poll.field) if answer is not None else []
            if any(value in poll.until for value in found):
                self.measured.right(name, phase, time.perf_counter() - since)
                return True
            if wrong := [value for value in found if value in poll.wrong]:
                self.measured.wrong(name, phase, f"{poll.field} {str(wrong[0])[:50]}")
                return False
            due = time.perf_counter() + poll.every
            if due > until:
                self.measured.wrong(name, phase, f"not reached within {poll.within:g} s")
                return False
            await self._until(due)
            if self.measured.stopped:
                return False

    async def _ask(self, one: Asked, due: float, phase: int, session: Session) -> Answer | None:
        """The answer; None, and an error noted, if it is not right."""
        answer, error = None, None
        try:
            path, headers, body = self._filled(one, session)
            async with asyncio.timeout(max(0.001, due + one.timeout - time.perf_counter())), self._slots:
                answer = await self._client.request(
                    one.method, path, body, headers=headers, seconds=one.timeout, content_type=one.content_type
                )
        except NothingKept as missing:
            error = f"nothing kept as {missing}"
        except TimeoutError:
            error = "timeout"
        except OSError as problem:
            error = type(problem).__name__
        if answer is not None and not one.right(answer.status):
            error = str(answer.status)
        elif answer is not None and one.keep and (lacking := session.keep(one.keep, _json(answer))):
            error = f"{answer.status} without {', '.join(lacking)}"
        right = answer is not None and error is None
        self._watch.note(int(time.perf_counter()), right=right)
        if answer is None or not right:
            self.measured.wrong(one.name, phase, error or "no answer")
            return None
        self.measured.right(one.name, phase, answer.ended - due)
        return answer

    def _filled(self, one: Asked, session: Session) -> tuple[str, str, bytes | None]:
        """Path, header lines, body. Raises NothingKept."""
        path = fill_line(one.path, session)
        headers = "".join(
            f"{name}: {fill_line(text, session)}\r\n" for name, text in one.headers.items() if name != "Content-Type"
        )
        if not one.has_body:
            return path, headers, None
        if (ready := self._ready.get(one.name)) is not None:
            return path, headers, ready
        body = orjson.dumps(fill_body(one.body, session))
        if not any(names_in(text) for _, text in texts(one.body)):
            self._ready[one.name] = body
        return path, headers, body

    async def _until(self, due: float) -> None:
        """Until this moment, or until the load is stopped: a session may wait for an hour."""
        while (early := due - time.perf_counter()) > 0 and not self.measured.stopped:
            await asyncio.sleep(min(early, 1))


def _json(answer: Answer) -> Any:
    """None for what is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None
