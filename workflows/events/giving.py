"""Signals that events give to runs, in the consumer's transaction: `action: signal`.

Note [Signals of events]
The run is the one of the rule's workflow that is under way for the event's business key, or the one whose id the rule
makes of the event. What becomes of the signal is the engine's business (Note [Signals] in `core/kinds/wait`): it is
given to exactly one step, or kept for one. The id of the signal is made of the event and the rule, and that the rule
was applied is noted as for a run that an event starts: so an event that is sent again, replayed or retried gives its
signal once. An event that cannot give it becomes a dead letter, and can be retried when the run is there; with
`if_none: ignore` one for which no run is under way, or wants the signal, is dropped. Several runs under way for the key
are never guessed among.
A signal with sensitive data of an event about a person is given to a run that is sealed with that person's key, and to
one of which nothing is sealed yet, which is sealed with it from then on: what it says is erased with them.
A consumer locks the runs last of all, in the order of their ids.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from workflows import engine
from workflows.core.machine import Signal
from workflows.core.triggers import Give
from workflows.engine.signals import Given
from workflows.errors import RunAlreadyEnded, SignalNotWanted, UnknownRun, WorkflowsError
from workflows.events import sealing
from workflows.events.effects import AfterCommit, LoggedEvent, Round
from workflows.events.store import triggers as store
from workflows.events.store.triggers import Link
from workflows.privacy import events as keys
from workflows.starts import dispatch

EFFECT = "triggers"
#: what `if_none: ignore` ignores
_NOBODY = (UnknownRun, RunAlreadyEnded, SignalNotWanted)

Wanted = tuple[LoggedEvent, str, Give]


def give(wanted: Sequence[Wanted], round: Round) -> AfterCommit | None:
    """Give these signals, as far as they were not given before."""
    pairs = [(identity, one.rule.key) for _, identity, one in wanted]
    known = store.linked(pairs)
    new = [each for each, pair in zip(wanted, pairs, strict=True) if pair not in known]
    runs = engine.runs_for([(one.rule.workflow, one.run_id, one.business_key) for _, _, one in new])
    found: list[tuple[Wanted, str]] = []
    for each, run in zip(new, runs, strict=True):
        if isinstance(run, WorkflowsError):
            _refused(round, each, run)
        else:
            found.append((each, run))
    if not found:
        return None
    found, adopted = _opened(found, round)
    given, hints = engine.give_signals([(run_id, _signal(each)) for each, run_id in found])
    links: list[Link] = []
    for (each, run_id), outcome in zip(found, given, strict=True):
        if isinstance(outcome, Given):
            links.append(_link(each, run_id))
            adopted.discard(run_id)
        else:
            _refused(round, each, outcome)
    keys.let_go(adopted)
    if links:
        store.link(links)

    def tell() -> None:
        dispatch.hint(hints)

    return tell if hints else None


def _opened(found: list[tuple[Wanted, str]], round: Round) -> tuple[list[tuple[Wanted, str]], set[str]]:
    """(the same with payloads in which is opened what was sealed of their events, where the wait seals it again; the
    runs that are noted as their person's for that)."""
    adopted: set[str] = set()
    if not any(sealing.MARK in event.text for (event, _, _), _ in found):
        return found, adopted
    payloads = engine.payloads_of([(run_id, one.name) for (_, _, one), run_id in found])
    given: list[tuple[Wanted, str]] = []
    for ((event, identity, one), run_id), payload in zip(found, payloads, strict=True):
        if payload is not None and sealing.of_event(event) is not None:
            opened = sealing.opened(one.payload, payload.parts, {identity}, payload.faults, at="payload", run=run_id)
            if isinstance(opened, sealing.NotOpened):
                message = f"{one.rule.label}: {'; '.join(map(str, opened.faults))}"
                round.reject(event, effect=EFFECT, target=one.rule.workflow, code=opened.code, message=message)
                continue
            if opened.adopted:
                adopted.add(run_id)
            one = replace(one, payload=opened.value)
        given.append(((event, identity, one), run_id))
    return given, adopted


def _signal(each: Wanted) -> Signal:
    event, identity, one = each
    # The same at every attempt: 16 bytes of the event XOR 16 bytes of the rule.
    id_ = UUID(int=int(identity, 16) ^ int(one.rule.key, 16))
    return Signal(str(id_), one.name, one.payload, f"event:{event.type[:180]}")


def _link(each: Wanted, run_id: str) -> Link:
    event, identity, one = each
    label = one.rule.label
    return Link(identity, one.rule.key, label, run_id, event.partition, event.position, event.logged_at, True)


def _refused(round: Round, each: Wanted, error: WorkflowsError) -> None:
    event, _, one = each
    signalling = one.rule.signalling
    if signalling is not None and signalling.ignores and isinstance(error, _NOBODY):
        return
    told = "; ".join(map(str, error.faults)) if error.faults else str(error)
    message = f"{one.rule.label}: {told}"
    round.reject(event, effect=EFFECT, target=one.rule.workflow, code=error.code, message=message)
