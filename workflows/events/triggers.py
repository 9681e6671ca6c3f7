"""The effect that starts runs, gathers events for them, and gives them signals: it does what the rules in force say
about a round's events, in the round's transaction.

Rules are asked about an event only if one of them is about its type. All runs of a round are inserted by one statement,
and by one for each kind of run that there are enough of to share chunks (Note [Chunks] in `store/chunks`), after one
that notes which event starts which; where rules have windows, one statement locks the cases and another changes them.
The workers are notified after the commit, many runs in one message. Load is no reason to refuse a run here: the events
were accepted, and the runs that they start count in the lanes' backlog like all others (Note [Admission] in
`core/lanes`).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError

from erip.foundation.faults import Fault
from erip.foundation.ids import new_run_id
from workflows import engine
from workflows.core.cost import Budget
from workflows.core.graph import Graph
from workflows.core.rules import Rule
from workflows.core.triggers import Asked, Drop, Failed, Gather, Give, Held, Start, ask, settle, started_by
from workflows.events import gathering, giving, sealed_reads, sealing
from workflows.events.active import Active, active
from workflows.events.effects import AfterCommit, LoggedEvent, Round, Unavailable
from workflows.events.identity import identity_of
from workflows.events.store import triggers as store
from workflows.events.store.triggers import Link
from workflows.events.types import Known
from workflows.graphs import graph_of
from workflows.models import WorkflowDefinition
from workflows.starts import chunks, dispatch, holds
from workflows.store import NewRun

log = structlog.get_logger(__name__)

NAME = "triggers"
#: what the expressions of one round may cost, in units of `core/cost` (1 s), and how many bytes they may produce
ROUND_UNITS, ROUND_BYTES = 200_000_000, 64 * 1024 * 1024


class TooMuchAtOnce(Exception):
    """A round's events are too many for what their rules do."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A run that an event is to start."""

    event: LoggedEvent
    identity: str
    start: Start


#: an event, its identity, and what a rule says about it
_Other = tuple[LoggedEvent, str, Any]


class Triggers:
    """Starts the runs that events are to start. A replay's target is `triggers`, or `triggers:<workflow>`."""

    name = NAME

    def apply(self, round: Round) -> AfterCommit | None:
        rules = active()
        wanted: list[_Wanted] = []
        gathers: list[_Other] = []
        gives: list[_Other] = []
        budget = Budget()
        for event in round.of_types(rules.book.wanting):
            for one in _asked(rules, event, _workflow_of(event.replay), budget):
                if isinstance(one, Failed):
                    _reject(round, event, one)
                elif isinstance(one, Start):
                    wanted.append(_Wanted(event, identity_of(event.source, event.id), one))
                elif isinstance(one, Gather | Give):
                    others = gathers if isinstance(one, Gather) else gives
                    others.append((event, identity_of(event.source, event.id), one))
            _check_spent(budget, round)
        again = round.has_replays
        if again:
            # A replayed event does not start the same run again, and opens no window for it.
            known = store.linked([(one.identity, one.start.rule.key) for one in wanted]) if wanted else set()
            wanted = [one for one in wanted if (one.identity, one.start.rule.key) not in known]
        wanted = _outside_of_windows(wanted)
        after: list[AfterCommit] = []
        if gathers and (gathers := gathering.not_yet(gathers) if again else gathers):
            # Before anything is inserted: Note [Lock order of pending starts] in `store/pending`.
            after += [told] if (told := gathering.gather(gathers)) else []
        if wanted:
            after.insert(0, _teller(_insert(_linked(wanted), rules, round, budget)))
        if gives:
            # A run that the round starts may be given the signal of its next event.
            after += [told] if (told := giving.give(gives, round)) else []
        return (lambda: _call(after)) if after else None

    def plan(self, target: str, events: Sequence[LoggedEvent]) -> dict[str, int]:
        """For how many of these events each rule would start a run, drop the event, or fail; windows are not
        considered.

        Events that have started their run before count as `already started`.
        """
        workflow = _workflow_of(target)
        if workflow is not None and not WorkflowDefinition.objects.filter(name=workflow).exists():
            raise LookupError(f'there is no workflow "{workflow}"')
        rules = active()
        counts: Counter[str] = Counter()
        does: list[tuple[str, Start | Gather | Give]] = []
        for event in events:
            for one in _asked(rules, event, workflow):
                if isinstance(one, Failed | Drop):
                    counts[f"{one.rule.label}: {'failed' if isinstance(one, Failed) else 'dropped'}"] += 1
                else:
                    does.append((identity_of(event.source, event.id), one))
        known = store.linked([(identity, one.rule.key) for identity, one in does]) if does else set()
        for identity, one in does:
            already = "already " if (identity, one.rule.key) in known else ""
            done = {Start: "started", Gather: "gathered", Give: "signalled"}[type(one)]
            if already and isinstance(one, Gather):
                done = "started"
            counts[f"{one.rule.label}: {already}{done}"] += 1
        return dict(counts)


def _workflow_of(target: str | None) -> str | None:
    return (target or "").partition(":")[2] or None


def _check_spent(budget: Budget, round: Round) -> None:
    """A round that takes too long or too much is tried again with fewer events (Note [Poison] in `faults`)."""
    if len(round.events) > 1 and (budget.units > ROUND_UNITS or budget.bytes > ROUND_BYTES):
        raise TooMuchAtOnce(f"the rules' expressions take too much for {len(round.events)} events at once")


def _asked(rules: Active, event: LoggedEvent, workflow: str | None, budget: Budget | None = None) -> list[Asked]:
    """What the rules of each workflow (or of one) say, with inputs that fit."""
    found: list[Asked] = []
    for group in rules.book.wanting(event.type):
        if workflow is not None and group[0].workflow != workflow:
            continue
        if not any(rule.is_about(event.type, event.source) for rule in group):
            continue
        try:
            known = sealing.of_event(event)
            asked = ask(group, event.event, budget) if known is None else _ask_sealed(group, event, known, budget)
            if isinstance(asked, Start):
                asked = _fitting(asked, graph_of(rules.versions[asked.rule.workflow]), event, known)
        except (DatabaseError, Unavailable):
            raise
        except Exception as error:
            # If one workflow's rules fail on an event, that concerns them alone: the other workflows' rules are still
            # asked.
            log.exception("rules_crashed", workflow=group[0].workflow, event=event.id)
            asked = Failed(group[0], "rule_failed", (Fault("", f"{type(error).__name__}: {str(error)[:300]}"),))
        if asked is not None:
            found.append(asked)
    return found


def _ask_sealed(rules: Sequence[Rule], event: LoggedEvent, known: Known, budget: Budget | None) -> Asked | None:
    """The same of an event with sensitive data: none of the rules up to the one that decides may look into that."""
    for rule in rules:
        if rule.is_about(event.type, event.source):
            if faults := sealed_reads.faults(rule, known):
                return Failed(rule, "rule_failed", faults)
            if (asked := ask([rule], event.event, budget)) is not None:
                return asked
    return None


def _fitting(start: Start, graph: Graph, event: LoggedEvent, known: Known | None) -> Start | Failed:
    """With an input that fits, and in which is opened what was sealed of the event."""
    if known is None:
        faults = graph.input_faults(start.input)
        return Failed(start.rule, "input_invalid", tuple(faults)) if faults else start
    mine = {identity_of(event.source, event.id)}
    input_ = sealing.opened(start.input, graph.sensitive, mine, graph.input_faults, at="input")
    if isinstance(input_, sealing.NotOpened):
        return Failed(start.rule, input_.code, input_.faults)
    return replace(start, input=input_.value, key=input_.key)


def _reject(round: Round, event: LoggedEvent, failed: Failed) -> None:
    rule = failed.rule
    told = "; ".join(str(Fault(fault.path, fault.message)) for fault in failed.faults)
    round.reject(event, effect=NAME, target=rule.workflow, code=failed.code, message=f"{rule.label}: {told}")


def _outside_of_windows(wanted: list[_Wanted]) -> list[_Wanted]:
    """Those that no window keeps from starting; the windows are opened, or made longer (Note [Windows])."""
    keys = [one.start.case.key for one in wanted if one.start.case is not None]
    if not keys:
        return wanted
    now, until = store.lock_cases(keys)
    decisions, changed = settle([one.start for one in wanted], until, now)
    if changed:
        store.open_windows(changed)
    return [one for one, decision in zip(wanted, decisions, strict=True) if not isinstance(decision, Held)]


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A run that an event starts now, by the number of its version and the database's time."""

    wanted: _Wanted
    run_id: str
    now: datetime


def _linked(wanted: Sequence[_Wanted]) -> list[_Fresh]:
    """Note which event starts which run. Returns the runs that their events have not started before."""
    links = [
        Link(
            event=one.identity,
            rule=one.start.rule.key,
            trigger=one.start.rule.label,
            run_id=new_run_id(),
            partition=one.event.partition,
            position=one.event.position,
            logged_at=one.event.logged_at,
        )
        for one in wanted
    ]
    now, fresh = store.link(links)
    return [
        _Fresh(one, link.run_id, now)
        for one, link in zip(wanted, links, strict=True)
        if (link.event, link.rule) in fresh
    ]


def _insert(fresh: Sequence[_Fresh], rules: Active, round: Round, budget: Budget) -> list[tuple[str, str]]:
    """Insert these runs. Returns the hints to publish after the commit."""
    alike: dict[tuple[int, str, str], list[_Fresh]] = defaultdict(list)
    for one in fresh:
        start = one.wanted.start
        version_id = rules.versions[start.rule.workflow]
        lane = start.lane or graph_of(version_id).lane
        alike[version_id, lane, started_by(one.wanted.event.type, start.depth)].append(one)
    alone: list[NewRun] = []
    hints: list[tuple[str, str]] = []
    for (version_id, lane, principal), group in alike.items():
        graph = graph_of(version_id)
        # Runs of a chunk have the same timeout.
        size = 0
        if not any(one.wanted.start.deadline for one in group):
            size = chunks.size_for(graph, version_id, [lane] * len(group), holds.current())
        if size:
            hints += chunks.insert_runs(
                [
                    engine.accepted_run(
                        graph, version_id, _request(one.wanted.start), one.now, principal, run_id=one.run_id
                    )
                    for one in group
                ],
                size,
            )
            continue
        for one in group:
            start = one.wanted.start
            alone.append(
                engine.new_run(
                    graph, version_id, _request(start), one.now, principal,
                    run_id=one.run_id, deadline=start.deadline, budget=budget,
                )
            )  # fmt: skip
            _check_spent(budget, round)
    return hints + (holds.insert_runs(alone) if alone else [])


def _request(start: Start) -> engine.StartRequest:
    return engine.StartRequest(start.input, start.business_key, start.lane, start.key)


def _teller(hints: Sequence[tuple[str, str]]) -> AfterCommit:
    def tell() -> None:
        dispatch.hint(hints)

    return tell


def _call(after: Sequence[AfterCommit]) -> None:
    for call in after:
        call()
