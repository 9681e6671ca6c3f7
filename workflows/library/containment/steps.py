"""containment.plan, containment.carry_out and containment.undo

Note [Undo in order]
A measure may rest on those before it, so they are ordered one at a time, and an order that cannot be handed over now
holds up those after it: the attempt fails, and the next one goes on from there, because what was handed over is written
down under a key of each measure (`notify`). They are taken back from the last to the first in the same way.
A response must not hang on one system that is away. After GIVE_UP attempts such a measure is `unknown`, and the next
one is ordered. Taken back is whatever may have been carried out: also what is `unknown`, and what a person was to do by
hand. Only what was refused by everybody for good has surely not been done.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError, StepError
from workflows.library.containment.contract import (
    Carried,
    CarryOutInput,
    CarryOutOutput,
    Containment,
    PlanInput,
    PlanOutput,
    State,
    UndoInput,
    Undone,
    UndoOutput,
)
from workflows.library.notify.contract import NotifyInput
from workflows.library.notify.steps import send
from workflows.registry import StepContext, step

#: the attempt from which on an order that cannot be handed over is left behind as `unknown`
GIVE_UP: Final = 5
#: seconds after which such an attempt tries nothing more: less than the steps' timeout, by what one order may take
PATIENCE: Final = 200.0
ORDER: Final = "erip.containment.order"
UNDO: Final = "erip.containment.undo"
_RETRY: Final = Retry(max_attempts=20, backoff=2.0, max_delay=60.0)


@step(
    "containment.plan",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="Which measures are carried out: those that a vote named, or those that were given",
)
def plan(data: PlanInput) -> PlanOutput:
    forms = [vote.form for vote in data.votes if vote.form is not None and vote.choice != "refuse"]
    named = [form.measures for form in forms if form.measures is not None]
    given = data.containment or Containment()
    return PlanOutput(
        measures=named[-1] if named else given.measures,
        subject=data.subject,
        email=given.email,
        webhook=given.webhook,
    )


@step(
    "containment.carry_out",
    timeout=300.0,
    retry=_RETRY,
    summary="Orders measures of containment, one after another, from systems and people",
)
def carry_out(data: CarryOutInput, ctx: StepContext) -> CarryOutOutput:
    found: list[Carried] = []
    until = monotonic() + PATIENCE
    for place, measure in enumerate(data.measures):
        state, detail = _order(
            data, ctx, place, ORDER, measure.action, {"place": place, **measure.model_dump(mode="json")}, until
        )
        found.append(Carried(place=place, state=state, detail=detail, **measure.model_dump()))
    return CarryOutOutput(measures=found, note=_note((one.state for one in found), "carry out"))


@step(
    "containment.undo",
    timeout=300.0,
    retry=_RETRY,
    summary="Takes measures of containment back, the last one first",
)
def undo(data: UndoInput, ctx: StepContext) -> UndoOutput:
    carried = [one for output in data.carried_out if output is not None for one in output.measures]
    found: list[Undone] = []
    until = monotonic() + PATIENCE
    for place, one in reversed(list(enumerate(carried))):
        if one.state == "refused":
            continue
        action = one.undo or f"Take back: {one.action}"
        said = {"place": place, "action": action, "undoes": one.action, "target": one.target, "was": one.state}
        state, detail = _order(data, ctx, place, UNDO, action, {**said, "reason": data.reason}, until)
        found.append(
            Undone(place=place, action=action, undoes=one.action, target=one.target, state=state, detail=detail)
        )
    return UndoOutput(
        undone=found,
        left=[one for one in carried if one.state == "refused"],
        reason=data.reason,
        note=_note((one.state for one in found), "take back"),
    )


def _order(
    data: CarryOutInput | UndoInput,
    ctx: StepContext,
    place: int,
    event: str,
    action: str,
    said: Mapping[str, Any],
    until: float,
) -> tuple[State, str]:
    """Hand over one order. Raises StepError while it should be tried again."""
    if ctx.attempt >= GIVE_UP and monotonic() > until:
        return "unknown", "no time was left to order it"
    target = said.get("target") or ""
    message = NotifyInput(
        email=data.email,
        webhook=data.webhook,
        event=event,
        subject=f"{data.subject}: {action}" if data.subject else action,
        message=f"{action}{f' ({target})' if target else ''}",
        data=dict(said),
    )
    # The same key at every attempt, and another one for each measure.
    own = replace(ctx, idempotency_key=f"{ctx.idempotency_key}:{place}")
    try:
        sent = send(message, own)
    except PermanentStepError as error:
        return "refused", str(error)[:1000]
    except StepError as error:
        if ctx.attempt < GIVE_UP:
            raise
        return "unknown", str(error)[:1000]
    if not sent.deliveries:
        return "by_hand", "nobody is entered who could be asked"
    return "ordered", f"{sent.delivered} of {len(sent.deliveries)} recipients have it"


def _note(states: Iterable[State], what: str) -> str:
    open_ = [state for state in states if state != "ordered"]
    many = "1 measure is" if len(open_) == 1 else f"{len(open_)} measures are"
    return f"{many} for people to {what}, or to look after" if open_ else ""
