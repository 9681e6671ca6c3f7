"""Frames: one row for each tick, with an array of the values of all series. And what a query may read of them.

Note [Frames]
A row for each sample costs 79.6 bytes (measured): 600 series every 10 s for a day are 413 MB, as frames 21 MB. A series
is a place in the arrays (`monitoring_series`). A value that is unknown is NULL, which is not 0.

Counters are kept as rates per second over the tick, so every tier has means that can be averaged again. A frame of a
coarser tier has, beside the mean, the lowest, the highest and the last value of the frames that it was made from.
"""

from dataclasses import dataclass

#: points in one answer; frames, and values in them, that one query reads to make them
MOST_POINTS, MOST_FRAMES, MOST_VALUES = 1_000, 10_000, 100_000


@dataclass(frozen=True, slots=True)
class Tier:
    """seconds: between two of its frames. kept: seconds for which a frame is kept."""

    seconds: int
    kept: int


#: from fine to coarse; each is made from the one before it
TIERS = (Tier(10, 86_400), Tier(60, 14 * 86_400), Tier(3_600, 400 * 86_400))
TICK = TIERS[0].seconds
#: seconds by which what is asked for may begin before the oldest frame of a tier: somebody asks for a whole day by a
#: clock of their own, and in several queries. What is not there any more has no value, as anywhere.
SLACK = 60


class TooMuch(ValueError):
    """A query that would read or answer more than it may; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query reads: frames of this tier, gathered into points of `step` seconds, a multiple of the tier's."""

    tier: Tier
    step: int


def plan(*, span: int, step: int | None, series: int, ago: int = 0) -> Reading:
    """How to answer for `span` seconds in points `step` seconds apart (None: about 200 points).

    From the finest tier that still holds all of it and does not cost too much. A finer step becomes the tier's own.

    series: how many are read. ago: seconds since the span ended; frames of a tier are forgotten by their age. Raises
    TooMuch.
    """
    wanted = step if step is not None else span // 200
    if span // max(wanted, TICK) > MOST_POINTS:
        raise TooMuch(f"makes more than {MOST_POINTS} points: ask for a step of {-(-span // MOST_POINTS)}s or more")
    for tier in TIERS:
        frames = span // tier.seconds + 1
        holds = tier.kept + SLACK >= span + ago or tier is TIERS[-1]
        if holds and frames <= MOST_FRAMES and frames * series <= MOST_VALUES:
            return Reading(tier, max(1, -(-wanted // tier.seconds)) * tier.seconds)
    raise TooMuch(f"reads more than {MOST_VALUES:,} values: ask for a shorter range or fewer series")
