"""The transactional outbox: lifecycle events go into the event bus' journal with the change that they report.

Note [Outbox]
What is reported (Note [Lifecycle events] in `core/lifecycle`) is written by the very statement that writes the change,
so it is reported if and only if the change is committed. From the journal it travels like any other event. It costs one
more CTE, and only if somebody wants the event: if nobody does, the statements are the same as without this module.

Note [Interest]
Each process knows which types somebody wants. A thread of its own reads this again about once a second (the event bus
provides the function: `learn_interest_by`), so no run waits for it. A type that somebody starts to want is reported
from about a second later on. A process that does not know yet waits once for that thread.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache, cached

from workflows.core import lifecycle
from workflows.core.cloudevents import partition_of
from workflows.core.machine import Plan, RunView, StepKey
from workflows.core.states import StepState
from workflows.core.triggers import DEPTH_ATTRIBUTE
from workflows.journal.statements import BLOCK, INSERT
from workflows.models import WorkflowVersion
from workflows.store.values import Claim, to_array

if TYPE_CHECKING:
    from workflows.store.values import NewRun


@dataclass(frozen=True, slots=True)
class Interest:
    """The events that somebody wants."""

    #: of `lifecycle.TYPES`
    types: frozenset[str] = frozenset()
    #: how many partitions the journal has
    partitions: int = 16


_known: Interest | None = None
_learn: Callable[[], None] | None = None


def learn_interest_by(learn: Callable[[], None]) -> None:
    """Have `learn` called when a process first has something to report and does not know yet what is wanted. `learn`
    calls `set_interest` before it returns, and goes on calling it."""
    global _learn
    _learn = learn


def set_interest(interest: Interest | None) -> None:
    """None: no longer known."""
    global _known
    _known = interest


def interest() -> Interest:
    """What somebody wants, as of a moment ago. See Note [Interest]."""
    if _known is None and _learn is not None:
        _learn()
    return _known or Interest()


os.register_at_fork(after_in_child=lambda: set_interest(None))


class Outbox:
    """The events of a group of plans."""

    def __init__(self, interest: Interest) -> None:
        self.wanted = interest.types
        self._partitions = interest.partitions
        #: (run id, partition, type, source, id, JSON)
        self._events: list[tuple[str, int, str, str, str, str]] = []
        #: (run id, step, partition, source, before, after) of fan-outs whose next items the statement begins
        self._items: list[tuple[str, str, int, str, str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._events or self._items)

    def started(self, run: "NewRun") -> None:
        if lifecycle.RUN_STARTED in self.wanted:
            at = run.view.created_at
            number = version_number(run.version_id)
            depth = lifecycle.depth_of(run.started_by)
            self._put(run.view, lifecycle.run_event(run.view, number, None, at, depth=depth))

    def decided(
        self,
        run: RunView,
        version_id: int,
        plan: Plan,
        *,
        claims: Sequence[Claim] = (),
        ages: Mapping[StepKey, tuple[float | None, float | None]] = MappingProxyType({}),
        started_by: str = "",
    ) -> None:
        """What a plan changes. claims: of steps that the reporter goes on with. ages: seconds since a step began (if in
        a stride) and ended. started_by: of a run that is not in the database yet; of others the statement looks it up.
        """
        now = datetime.now(UTC)
        depth = lifecycle.depth_of(started_by)
        began = lifecycle.STEP_STARTED in self.wanted

        def put(step: str, item: int, attempt: int, state: StepState, age: float | None, error: Any = None) -> None:
            at = now - timedelta(seconds=age or 0)
            number = version_number(version_id)
            event = lifecycle.step_event(run, number, step, item, attempt, state, at, error=error, depth=depth)
            self._put(run, event)

        for change in plan.steps:
            begun, ended = ages.get((change.step, change.item), (None, None))
            # A step with an attempt began in a stride; a fan-out begins by itself.
            running = change.items is not None and change.state is StepState.RUNNING
            if began and change.new and (change.attempt or running):
                put(change.step, change.item, change.attempt, StepState.RUNNING, begun)
            if change.state is not StepState.RUNNING and lifecycle.STEP.get(change.state) in self.wanted:
                put(change.step, change.item, change.attempt, change.state, ended, change.error)
        if began:
            for claim in claims:
                put(claim.step, claim.item, claim.attempt, StepState.RUNNING, None)
            for step, _ in plan.releases:
                before, after = lifecycle.item_started_template(run, version_number(version_id), step, now)
                source = lifecycle.source_of(run.workflow)
                self._items.append((run.id, step, self._partition(run.id), source, before, after))
        if plan.run is not None and lifecycle.RUN_ENDED.get(plan.run.state) in self.wanted:
            number = version_number(version_id)
            told = lifecycle.run_event(run, number, plan.run.state, now, error=plan.run.error, depth=depth)
            self._put(run, told)

    def parts(self) -> tuple[list[str], list[Any]]:
        """The CTEs that write them, with their parameters: behind `won` (with `started_by`), and `released`."""
        statements: list[str] = []
        parameters: list[Any] = []
        if self._events:
            statements.append(announced(_TELL))
            parameters += self.columns()
        if self._items:
            statements.append(announced(_TELL_ITEMS))
            parameters += [to_array(column) for column in zip(*self._items, strict=True)]
        return statements, parameters

    def of_new(self, condition: str = "") -> tuple[str, list[str]]:
        """The statement that writes the events about runs that are inserted with it, and its parameters."""
        return announced(TELL_NEW).replace(CONDITION, condition), self.columns()

    def columns(self) -> list[str]:
        return [to_array(column) for column in zip(*self._events, strict=True)]

    def _put(self, run: RunView, event: lifecycle.Told) -> None:
        source = lifecycle.source_of(run.workflow)
        self._events.append((run.id, self._partition(run.id), event.type, source, event.id, event.text))

    def _partition(self, run_id: str) -> int:
        return partition_of({"subject": run_id}, self._partitions)


@cached(LRUCache(maxsize=10_000), lock=Lock())
def version_number(version_id: int) -> int:
    """The version number that people see for a stored version; it never changes."""
    return WorkflowVersion.objects.values_list("number", flat=True).get(pk=version_id)


#: places in the texts below
CONDITION, ANNOUNCE = "/* which */", "/* announced */"
_EVENTS = """unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[])
         WITH ORDINALITY AS v (run_id, partition, kind, source, id, event, place)"""


def _depth(started_by: str) -> str:
    """As text; NULL where no event started the run. See `lifecycle.depth_of`."""
    prefix = lifecycle.STARTED_BY_EVENT
    return f"""CASE WHEN left({started_by}, {len(prefix)}) = '{prefix}'
                 THEN coalesce(substring({started_by} from '{lifecycle.DEPTH_PATTERN}'), '1') END"""


def _deeper(event: str) -> str:
    """The event, with the depth of its run where that has one."""
    attribute = f"""'{{"{DEPTH_ATTRIBUTE}":' || {_depth("won.started_by")}"""
    return f"coalesce({attribute} || ',' || substr({event}, 2), {event})"


_TELL = f""" told_all AS (
{INSERT}
SELECT partition, {BLOCK}
FROM (
    SELECT v.run_id, v.partition, v.kind, v.source, v.id, v.place, {_deeper("v.event")} AS event
    FROM {_EVENTS}
    JOIN won ON won.id = v.run_id
) told
GROUP BY partition{ANNOUNCE}
)"""  # noqa: S608  (made of constants)

_TELL_ITEMS = f""" told_items AS (
{INSERT}
SELECT partition, {BLOCK}
FROM (
    SELECT i.run_id, i.partition, '{lifecycle.STEP_STARTED}' AS kind, i.source, i.id, i.place,
           {_deeper("i.event")} AS event
    FROM (
        SELECT v.run_id, v.partition, v.source, r.item AS place,
               v.run_id || ':' || v.step || ':' || r.item || ':' || r.attempt || ':RUNNING' AS id,
               v.before || r.item || ':' || r.attempt || ':RUNNING","data":{{"item":' || r.item || ',"attempt":'
               || r.attempt || ',' || v.after AS event
        FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[])
          AS v (run_id, step, partition, source, before, after)
        JOIN released r ON r.run_id = v.run_id AND r.step = v.step AND r.claimed
    ) i
    JOIN won ON won.id = i.run_id
) told
GROUP BY partition{ANNOUNCE}
)"""  # noqa: S608  (made of constants)

#: of runs that are inserted in the same transaction
TELL_NEW = f"""
{INSERT}
SELECT partition, {BLOCK}
FROM {_EVENTS}
{CONDITION}
GROUP BY partition{ANNOUNCE}
"""  # noqa: S608  (made of constants)

#: follows `claimed` and `run` (with `started_by`) of a claim, and reports what it begins. It knows only the rows.
TELL_CLAIMED = f""", told AS (
    {INSERT}
    SELECT partition, {BLOCK}
    FROM (
        SELECT c.run_id, named.partition, '{lifecycle.STEP_STARTED}' AS kind, made.source, made.id,
               row_number() OVER (ORDER BY c.run_id, c.step, c.item) AS place,
               json_build_object(
                   'id', made.id, 'specversion', '1.0', 'type', '{lifecycle.STEP_STARTED}', 'source', made.source,
                   'subject', run.id,
                   'time', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   'datacontenttype', 'application/json',
                   '{DEPTH_ATTRIBUTE}', coalesce({_depth("run.started_by")}, '0')::int,
                   'data', json_build_object(
                       'item', nullif(c.item, -1), 'attempt', c.attempt, 'run_id', run.id, 'workflow', run.workflow,
                       'version', version.number, 'lane', run.lane, 'business_key', run.business_key, 'step', c.step,
                       'state', 'RUNNING', 'error', NULL))::text AS event
        FROM claimed c
        JOIN run ON run.id = c.run_id
        JOIN workflows_workflowversion version ON version.id = run.version_id
        CROSS JOIN LATERAL (SELECT c.run_id || ':' || c.step || ':' || c.item || ':' || c.attempt || ':RUNNING' AS id,
                                   '{lifecycle.source_of("")}' || run.workflow AS source) made
        JOIN (SELECT DISTINCT id, partition
              FROM unnest(%(runs)s::uuid[], %(partitions)s::int[]) AS n (id, partition)) named ON named.id = run.id
    ) told
    GROUP BY partition{ANNOUNCE}
)"""  # noqa: S608  (made of constants)


#: the channel that wakes consumers when something came in
EVENTS_CHANNEL = "erip_events"
#: seconds between two announcements of one process. NOTIFY makes commits take turns, and a consumer that was just woken
#: looks by itself that often.
ANNOUNCE_EVERY = 0.05
_announced_at = float("-inf")


def announced(statement: str) -> str:
    """The statement, which also wakes the consumers if the last one that did is long enough ago."""
    global _announced_at
    now = time.monotonic()
    if now - _announced_at < ANNOUNCE_EVERY:
        return statement.replace(ANNOUNCE, "")
    _announced_at = now
    return statement.replace(ANNOUNCE, f" RETURNING pg_notify('{EVENTS_CHANNEL}', '')")


def nothing_announced() -> None:
    """The last statement from `announced` wrote nothing and woke nobody, so the next one has to wake the consumers."""
    global _announced_at
    _announced_at = float("-inf")


def with_started_by(statement: str) -> str:
    """The statement that gives `won`, for `parts`."""
    return statement.replace("RETURNING r.id,", "RETURNING r.id, r.started_by,", 1)


def partitions_of(run_ids: Sequence[str], wanted: Interest) -> str:
    """Where the events of these runs go: the parameter `partitions` of `TELL_CLAIMED`."""
    return to_array(partition_of({"subject": run_id}, wanted.partitions) for run_id in run_ids)
