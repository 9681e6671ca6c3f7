"""Runs the body of one claimed step and turns any outcome into a report. Never raises."""

import asyncio
import inspect
import random
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel, ValidationError

from erip.foundation import json_values
from erip.foundation.db.failures import said
from erip.foundation.logs import working_on
from erip.foundation.redacting import Struck
from workflows.core.claim import Claim
from workflows.core.graph import Work
from workflows.core.machine import NO_ITEM, Happening, StepFailed, StepSucceeded
from workflows.core.outputs import MAX_OUTPUT_BYTES
from workflows.core.sensitive import NOTHING, Parts
from workflows.errors import StepError
from workflows.registry import StepContext, StepSpec
from workflows.worker import protecting, traces

if TYPE_CHECKING:
    # At run time it would bring the database along, which a test of a step does without.
    from workflows.worker import beats

log = structlog.get_logger(__name__)

#: What a body raises is its failure, also what would end its thread or the loop of all async bodies. Nobody cancels a
#: body but its timeout, so a CancelledError came from something that the body waited for.
RAISED = (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError)

#: backoff jitter needs no secrecy
_random = random.Random()  # noqa: S311


def run_sync(
    claim: Claim, spec: StepSpec, work: Work, lines: traces.Lines | None = None, beat: "beats.Beat | None" = None
) -> Happening:
    """Run a `def` body in this thread. lines: takes what it logs (Note [Traces]). beat: takes what it says."""
    lines = lines or traces.Lines(claim)
    before = working_on.set(lines)
    try:
        given = protecting.unlocked(claim, work, lines, beat) if work.secrets or work.opens else claim
        return succeeded(claim, spec.body(*arguments(given, spec, beat)), lines, spec.sealed)
    except RAISED as error:
        return failed(claim, error, lines)
    finally:
        working_on.reset(before)


async def run_async(
    claim: Claim, spec: StepSpec, work: Work, lines: traces.Lines | None = None, beat: "beats.Beat | None" = None
) -> Happening:
    """Run an `async def` body on this event loop, within its timeout. lines, beat: as of `run_sync`."""
    lines = lines or traces.Lines(claim)
    before = working_on.set(lines)
    try:
        async with asyncio.timeout(work.timeout):
            given = claim
            if work.secrets or work.opens:
                # Whoever has the secrets may be slow, and the loop is that of all async bodies.
                given = await asyncio.to_thread(protecting.unlocked_elsewhere, claim, work, lines, beat)
            result = await spec.body(*arguments(given, spec, beat))
            if spec.sealed:
                return await asyncio.to_thread(succeeded, claim, result, lines, spec.sealed)
            return succeeded(claim, result, lines)
    except TimeoutError as error:
        return timed_out(claim, work, traces.of_error(claim, error, lines))
    except RAISED as error:
        return failed(claim, error, lines)
    finally:
        working_on.reset(before)


def succeeded(claim: Claim, result: Any, lines: traces.Lines | None = None, sealed: Parts = NOTHING) -> Happening:
    """The report of a body that returned. Raises TypeError for a result that cannot be an output.

    lines: know the secrets and the sensitive data that it was given. sealed: the parts of the output that are.
    """
    if not isinstance(result, BaseModel):
        if inspect.isawaitable(result):
            raise TypeError("the body returned an awaitable: declare it `async def`")
        raise TypeError(f"the body returned {type(result).__name__}, which is no pydantic model")
    output = result.model_dump(mode="json")
    if sealed:
        output = protecting.sealed(claim, sealed, output)
    try:
        text = json_values.dump(output)
    except json_values.NotAValue as error:
        return _refused(claim, f"the output cannot be recorded: {error}")
    if len(text) > MAX_OUTPUT_BYTES:
        return _refused(claim, f"the output has {len(text):,} bytes; at most {MAX_OUTPUT_BYTES:,} are recorded")
    if lines is not None and lines.struck is not None and lines.struck.occurs(told := text.decode()):
        if lines.sealed is not None and lines.sealed.occurs(told):
            return _refused(claim, _UNDECLARED)
        output = lines.struck.json(output)
    return StepSucceeded(claim.step, claim.attempt, output, claim.item)


_UNDECLARED = (
    "the output holds sensitive data in a part that is not declared as such: it could not be erased. Declare that part"
    " of the step's output model with json_schema_extra={'sensitive': True}, or leave it out"
)


def _refused(claim: Claim, message: str) -> Happening:
    """Fails for good: the body ran, and would return the same again."""
    fault = {"code": "output_refused", "message": message[:2000]}
    return StepFailed(claim.step, claim.attempt, fault, False, 0.0, item=claim.item)


def failed(claim: Claim, error: BaseException, lines: traces.Lines | None = None) -> Happening:
    """The report of a body that raised. See docs/reference/definitions.md for which errors are tried again.

    lines: what the body logged.
    """
    # First of all, so that what is logged here is not taken for the body's.
    trace = traces.of_error(claim, error, lines)
    retryable, retry_after, code, certain = True, None, "step_raised", False
    match error:
        case StepError():
            retryable, retry_after, certain = error.retryable, error.retry_after, True
            code = json_values.storable(str(error.code))
        case ValidationError():
            retryable, code, certain = False, "invalid_input", True
    if not isinstance(error, StepError | ValidationError):
        log.warning("step_raised", run_id=claim.run_id, step=claim.step, attempt=claim.attempt, exc_info=error)
    struck = lines.struck if lines is not None else None
    if struck is not None:
        code = struck.text(code)
    fault = {"code": code, "type": type(error).__name__, "message": _message(error, struck)}
    return StepFailed(
        claim.step,
        claim.attempt,
        fault,
        retryable,
        jitter(),
        retry_after,
        certain=certain,
        item=claim.item,
        trace=trace,
    )


def timed_out(claim: Claim, work: Work, trace: traces.Trace | None) -> Happening:
    fault = {"code": "step_timed_out", "message": f"attempt {claim.attempt} took longer than {work.timeout:g} s"}
    return StepFailed(claim.step, claim.attempt, fault, True, jitter(), certain=False, item=claim.item, trace=trace)


def silent(claim: Claim, every: float, trace: traces.Trace | None) -> Happening:
    fault = {"code": "heartbeat_missed", "message": f"attempt {claim.attempt} was silent for more than {every:g} s"}
    return StepFailed(claim.step, claim.attempt, fault, True, jitter(), certain=False, item=claim.item, trace=trace)


def arguments(claim: Claim, spec: StepSpec, beat: "beats.Beat | None" = None) -> list[Any]:
    """What a body is called with. Raises ValidationError for an input that does not fit its model."""
    given: list[Any] = [spec.input_model.model_validate(claim.input)]
    if spec.takes_context:
        item = None if claim.item == NO_ITEM else claim.item
        given.append(
            StepContext(
                run_id=claim.run_id,
                step=claim.step,
                item=item,
                attempt=claim.attempt,
                idempotency_key=f"{claim.run_id}:{claim.step}:{'' if item is None else item}",
                workflow=claim.workflow,
                business_key=claim.business_key,
                lane=claim.lane,
                deadline=claim.deadline_at,
                run_created_at=claim.run_created_at,
                **({"cursor": beat.cursor, "say": beat.say} if beat is not None else {}),
            )
        )
    return given


def _message(error: BaseException, struck: Struck | None) -> str:
    try:
        text = _said(error)
    except Exception:  # what it says of itself is the body's code
        return f"a {type(error).__name__} that cannot be shown"
    # Before it is cut: half a secret would not be found.
    return json_values.storable(text if struck is None else struck.text(text))[:2000]


def _said(error: BaseException) -> str:
    if not isinstance(error, ValidationError):
        return said(error)
    faults = (
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    )
    return "; ".join(faults)


def jitter() -> float:
    """A share of the backoff, in [0, 1)."""
    return _random.random()
