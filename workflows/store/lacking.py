"""Steps of published versions that this release does not have: which this process lacks, and which nobody has.

Note [Lacking]
While a release is rolled out, or where workers have different apps, a run may need a step that some workers lack. A
worker also lacks a step if its own of that name refuses an input that the version gives (its model says
`extra="forbid"`; one that drops the input runs, as ever): the run would fail. Such a worker leaves the step to the
others: its claims pass over it (`without`), and when it has claimed one of a version that it meets for the first time,
it returns it. What a process lacks is found out when it compiles a version (`workflows.graphs`), and a worker says it
in its own row. So all can see which steps no living worker of a lane has: they are no load and are not hinted at, and
the run (`waits_for`), the log and the list of workers name them. Where nobody lacks anything, the statements are what
they would be without all this.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

from django.db import connection

#: by version: the steps of it that this process lacks, and the name of the registered step that each would need
_lacked: dict[int, Mapping[str, str]] = {}
_pairs: tuple[str, ...] = ()
_changing = Lock()


def note(version_id: int, steps: Mapping[str, str]) -> bool:
    """This process lacks these steps of the version (step -> registered name), and no others. Whether that is new."""
    global _pairs
    if _lacked.get(version_id, {}) == steps:
        return False
    with _changing:
        if steps:
            _lacked[version_id] = dict(steps)
        else:
            _lacked.pop(version_id, None)
        _pairs = tuple(pair(version, step) for version, own in sorted(_lacked.items()) for step in own)
    return True


def note_one(version_id: int, step: str, name: str) -> bool:
    """This process lacks this step too. Whether that is new."""
    return note(version_id, {**_lacked.get(version_id, {}), step: name})


def lacks(version_id: int, step: str) -> bool:
    """Whether this process lacks this step."""
    return bool(_lacked) and step in _lacked.get(version_id, ())


def pairs() -> tuple[str, ...]:
    """Everything that this process lacks, as `pair`s."""
    return _pairs


def named() -> dict[str, str]:
    """The same, with the name of the registered step that each would need."""
    return {pair(version, step): name for version, own in sorted(_lacked.items()) for step, name in own.items()}


def pair(version_id: int, step: str) -> str:
    """A step of a version, as rows of workers and `without` say it."""
    return f"{version_id} {step}"


def without(parameter: str) -> str:
    """A condition for SQL on the row `s` of a step and the row `run`: the step is none of the pairs that are handed in
    as an array under this name."""
    return f" AND run.version_id || ' ' || s.step <> ALL(%({parameter})s::text[])"


def without_by_lane(parameter: str) -> str:
    """The same for pairs that differ from lane to lane, handed in as `by_lane`."""
    return (
        " AND run.version_id || ' ' || s.step"
        f" <> ALL(string_to_array(coalesce(%({parameter})s::json ->> s.lane, ''), ','))"
    )


def by_lane(pairs: Mapping[str, Sequence[str]]) -> str:
    """What `nobody_has` found, as the parameter of `without_by_lane`."""
    return json.dumps({lane: ",".join(own) for lane, own in pairs.items()})


def nobody_has() -> dict[str, list[str]]:
    """By lane: the pairs that every living worker of the lane lacks. Lanes without living workers are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH living AS (
                SELECT lane, w.id, w.lacks FROM workflows_worker w, unnest(string_to_array(w.lanes, ',')) AS lane
                WHERE w.stopped_at IS NULL
            )
            SELECT lane, pair FROM living l, unnest(l.lacks) AS pair
            GROUP BY lane, pair HAVING count(*) = (SELECT count(*) FROM living own WHERE own.lane = l.lane)
            ORDER BY lane, pair
            """
        )
        found: dict[str, list[str]] = {}
        for lane, lacked in cursor.fetchall():
            found.setdefault(lane, []).append(lacked)
        return found


def split(lacked: Iterable[str]) -> list[tuple[int, str]]:
    """(version id, step) of each pair."""
    return [(int(version), step) for version, _, step in (each.partition(" ") for each in lacked)]
