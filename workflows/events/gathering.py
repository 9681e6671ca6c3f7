"""Events that are gathered for one run (Note [Gathering] in `core/gathering`): kept by the consumers, in their
transaction; started by the leader, and by a consumer that closed one, right after its commit."""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

import orjson
import structlog
from django.db import transaction

from erip.access.flags import asking as flags
from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.faults import Fault
from erip.foundation.hooks import periodic_duty
from erip.foundation.ids import new_run_id
from workflows import engine
from workflows.core.cost import BUDGET_KEY, Budget
from workflows.core.definition import DefinitionInvalid
from workflows.core.gathering import settle
from workflows.core.rules import Rule, compile_rule, rule_key
from workflows.core.triggers import Failed, Gather, input_of, started_by
from workflows.events import sealing
from workflows.events.effects import AfterCommit, LoggedEvent
from workflows.events.store import deadletters
from workflows.events.store import pending as store
from workflows.events.store import triggers as links
from workflows.events.store.deadletters import Dead
from workflows.events.store.pending import Due, Gathered, Kept
from workflows.events.store.triggers import Link
from workflows.graphs import graph_of
from workflows.starts import dispatch, holds, versions
from workflows.store import NewRun

log = structlog.get_logger(__name__)

EFFECT: Final = "triggers"
#: seconds between two looks
EVERY: Final = 0.5
#: pending starts of one transaction: each may keep 1 MiB of events, or one larger event
LIMIT: Final = 16
#: seconds of one look: the leader's other duties wait meanwhile
SECONDS: Final = 0.75
#: seconds until the next attempt at one that cannot be started by this release
AGAIN_AFTER: Final = 60.0


def not_yet(wanted: Sequence[tuple[LoggedEvent, str, Gather]]) -> list[tuple[LoggedEvent, str, Gather]]:
    """Those of these replayed events that have not started their run, and are not kept for one."""
    pairs = [(identity, one.rule.key) for _, identity, one in wanted]
    known = links.linked(pairs) | store.kept(pairs)
    return [each for each, pair in zip(wanted, pairs, strict=True) if pair not in known]


def gather(wanted: Sequence[tuple[LoggedEvent, str, Gather]]) -> AfterCommit | None:
    """Keep these events (event, its identity, what its rule says), in the consumer's transaction."""
    items = [
        (one, Gathered(identity, event.type, event.partition, event.position, event.logged_at))
        for event, identity, one in wanted
    ]
    first: dict[str, tuple[str, Gather]] = {}
    for one, _ in items:
        first.setdefault(one.case, (str(uuid4()), one))
    now, known = store.open_cases(first)
    changes = settle(items, known, now, lambda: str(uuid4()))
    store.write(changes, now)
    return _start_closed if any(change.closed for change in changes) else None


def _start_closed() -> None:
    """Start what has just been closed, without waiting for the leader."""
    start_due(until=time.monotonic() + SECONDS)


@periodic_duty(EVERY)
def start_what_is_due() -> bool:
    """Start the runs whose time has come. Returns whether there may be more."""
    return start_due(until=time.monotonic() + SECONDS)


def start_due(*, until: float) -> bool:
    """Start the runs whose time has come, until this moment of the monotonic clock. Any number of processes may do so
    at the same time. Returns whether there may be more. None starts while events take no effect: they wait, and what
    they are due by stays."""
    if not flags.is_on("event-effects"):
        return False
    while True:
        if _start_some(LIMIT) < LIMIT:
            return False
        if time.monotonic() >= until:
            return True


def _start_some(limit: int) -> int:
    """Returns how many were found."""
    try:
        return _start(limit)
    except Exception as error:
        if isinstance(error, ERRORS) and is_passing(error):
            raise
        if limit > 1:
            # One that fails must not hold up the others.
            log.warning("pending_starts_one_by_one", error=error)
            return sum(_start_some(1) for _ in range(limit))
        log.exception("pending_start_failed")
        _put_off_first(error)
        return 1


def _start(limit: int) -> int:
    with transaction.atomic():
        due = store.lock_due(limit)
        if due:
            _work_off(due)
        return len(due)


def _put_off_first(error: Exception) -> None:
    with transaction.atomic():
        for one in store.lock_due(1):
            store.put_off(one.id, f"{type(error).__name__}: {error}", seconds=AGAIN_AFTER)


def start_now(due: Due) -> str | None:
    """Start the run of a pending start that this transaction has locked, before its time. Returns its id; None: its
    events have become dead letters, have started their run before, or cannot be read by this release."""
    started = _work_off([due])
    return started.get(due.id)


def _work_off(due: Sequence[Due]) -> dict[str, str]:
    """Start the runs of these locked pending starts. Returns run ids by their ids."""
    budget = Budget()
    events = store.events_of([one.id for one in due])
    pairs = [(kept.gathered.event, _key(one)) for one in due for kept in events[one.id]]
    known = links.linked(pairs) if pairs else set()
    runs: list[NewRun] = []
    started: dict[str, str] = {}
    made: list[Link] = []
    done: list[str] = []
    for one in due:
        fresh = [kept for kept in events[one.id] if (kept.gathered.event, _key(one)) not in known]
        if not fresh:
            done.append(one.id)  # all were sent again, and had started their run before
            continue
        try:
            run = _run_of(one, fresh, budget)
            if isinstance(run, Failed):
                bury(one, fresh, code=run.code, message="; ".join(map(str, run.faults)))
        except (DefinitionInvalid, _Unreadable) as error:
            # A newer release published it, and can start it.
            store.put_off(one.id, str(error), seconds=AGAIN_AFTER)
            log.error("pending_start_put_off", workflow=one.workflow, pending=one.id)
            continue
        done.append(one.id)
        if isinstance(run, Failed):
            continue
        runs.append(run)
        started[one.id] = run.id
        made += [_link(one, kept.gathered, run.id) for kept in fresh]
    if runs:
        links.link(made)
        dispatch.hint_after_commit(holds.insert_runs(runs))
    if done:
        store.remove(done)
    return started


class _Unreadable(Exception):
    """This release cannot read the rule."""


def _run_of(due: Due, events: Sequence[Kept], budget: Budget) -> NewRun | Failed:
    """The run of a pending start. Raises DefinitionInvalid, _Unreadable."""
    rule = _rule(due)
    assert rule.gathering is not None
    version = versions.read(due.workflow, None)
    graph = graph_of(version.id)
    budget.renew()
    values = [kept.value for kept in events]
    context: dict[str, Any] = {BUDGET_KEY: budget}
    if rule.gathering.all:
        context |= {"events": values, "count": len(values)}
    else:
        context |= {"event": values[-1], "count": due.count}
    faults: list[Fault] = []
    input_, deadline = input_of(rule, context, faults)
    if faults:
        return Failed(rule, "rule_failed", tuple(faults))
    key: int | None = None
    if any(kept.sealed for kept in events):
        mine = {kept.gathered.event for kept in events}
        opened = sealing.opened(input_, graph.sensitive, mine, graph.input_faults, at="input")
        if isinstance(opened, sealing.NotOpened):
            return Failed(rule, opened.code, opened.faults)
        input_, key = opened.value, opened.key
    elif faults := graph.input_faults(input_):
        return Failed(rule, "input_invalid", tuple(faults))
    request = engine.StartRequest(input_, due.business_key, rule.lane, key)
    principal = started_by(due.type, due.depth)
    return engine.new_run(
        graph, version.id, request, version.now, principal, run_id=new_run_id(), deadline=deadline, budget=budget
    )


def _rule(due: Due) -> Rule:
    try:
        return _compiled(orjson.dumps(due.rule, option=orjson.OPT_SORT_KEYS), due.workflow, due.trigger)
    except ValueError as error:
        raise _Unreadable(str(error)) from error


@lru_cache(maxsize=256)
def _compiled(document: bytes, workflow: str, label: str) -> Rule:
    # Whether its input fits is checked with each run: the workflow may have another schema by then.
    rule, faults = compile_rule(orjson.loads(document), workflow, None, at="rule", label=label)
    if rule is None or rule.gathering is None:
        raise ValueError("this release cannot read its rule: " + "; ".join(map(str, faults)))
    return rule


def _key(due: Due) -> str:
    return rule_key(due.workflow, due.rule)


def _link(due: Due, one: Gathered, run_id: str) -> Link:
    return Link(one.event, _key(due), due.trigger, run_id, one.partition, one.position, one.logged_at)


def discard(due: Due, *, by: str) -> int:
    """Give up a pending start that this transaction has locked. Its events become dead letters that were discarded.
    Returns how many."""
    events = store.events_of([due.id])[due.id]
    letters = bury(due, events, code="pending_start_discarded", message=f"discarded by {by}")
    for letter_id in letters:
        deadletters.resolve(letter_id, "discarded", by=by)
    store.remove([due.id])
    return len(letters)


def bury(due: Due, events: Sequence[Kept], *, code: str, message: str) -> list[int]:
    """Make dead letters of these events. Returns their ids. Raises _Unreadable if the log does not have them any
    more."""
    found = store.logged([kept.gathered for kept in events])
    if len(found) < len(events):
        raise _Unreadable("the log does not have its events any more, so they cannot become dead letters")
    dead = [
        Dead(
            partition=partition,
            position=position,
            logged_at=logged_at,
            block=None,
            offset=None,
            type=type_,
            source=source,
            subject=subject,
            id=id_,
            text=text,
            effect=EFFECT,
            target=due.workflow,
            code=code,
            message=f"{due.trigger}: {message} (events gathered: {due.count:,})",
            attempts=1,
            sender=sender,
        )
        for partition, position, logged_at, type_, source, subject, id_, text, sender in found
    ]
    return deadletters.bury(dead)
