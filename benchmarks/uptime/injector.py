"""Carries out the schedule: each fault at its time, healed after its hold, marked with its times.

However the benchmark ends (Ctrl-C, SIGTERM, an exception), `finally` here heals the fault that is in; where the
benchmark itself is killed, its private stack ends with it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from redis.exceptions import RedisError

from ..errors import BenchmarkError
from .faults import Fault, fault
from .kinds import KINDS, Kind
from .outages import Mark
from .schedule import Planned
from .topology import Topology

#: seconds that everything may take to be in its place again after a fault
WHOLE_WITHIN = 60.0
#: seconds between two looks
LOOK_EVERY = 0.25


class Injector:
    """One schedule on one topology."""

    def __init__(self, topology: Topology, planned: Sequence[Planned], random: Random) -> None:
        self.marks: list[Mark] = []
        #: faults that could not be put in, and why
        self.left_out: list[str] = []
        self._topology, self._planned, self._random = topology, planned, random
        self._in: Fault | None = None
        self._missing: list[str] = []

    async def run(self, duration: float) -> None:
        """Until the schedule is over, with no fault after `duration` seconds, when the load ends.

        A fault waits until everything is in its place after the one before: what is promised is one fault at a time.
        """
        begin = time.perf_counter()
        try:
            for planned in self._planned:
                await _until(begin + planned.at)
                if await self._whole(min(begin + duration, time.perf_counter() + WHOLE_WITHIN)):
                    await self._carry_out(KINDS[planned.kind])
                else:
                    why = f"still missing: {', '.join(self._missing)}" if self._missing else "no time was left"
                    self.left_out.append(f"{planned.kind} was left out: {why}")
        finally:
            self.heal()

    def heal(self) -> None:
        """Take out what is in. Never raises: the stack may be gone."""
        fault, self._in = self._in, None
        if fault is not None:
            try:
                fault.heal()
            except (OSError, RedisError, BenchmarkError) as error:
                self.left_out.append(f"{self.marks[-1].victim if self.marks else 'a fault'} was not healed: {error}")

    async def _carry_out(self, kind: Kind) -> None:
        try:
            victim = await asyncio.to_thread(self._topology.find, kind.role, self._random.random())
            self._in = fault(kind, self._topology, victim)
            at = time.perf_counter()
            await asyncio.to_thread(self._in.inject)
        except (BenchmarkError, OSError, RedisError) as error:
            self.left_out.append(f"{kind.name}: {error}")
            self.heal()
            return
        mark = Mark(kind.name, victim.name, at, at)
        self.marks.append(mark)
        await _until(at + kind.hold)
        if kind.hold:
            await asyncio.to_thread(self.heal)
            mark = self.marks[-1] = replace(mark, healed=time.perf_counter())
        self._in = None
        if await self._whole(time.perf_counter() + WHOLE_WITHIN):
            self.marks[-1] = replace(mark, whole=time.perf_counter() - at)

    async def _whole(self, deadline: float) -> bool:
        """Whether everything was in its place again before the deadline."""
        while time.perf_counter() < deadline:
            self._missing = await asyncio.to_thread(self._topology.missing)
            if not self._missing:
                return True
            await asyncio.sleep(LOOK_EVERY)
        return False


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.perf_counter()))
