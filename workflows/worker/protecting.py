"""The secrets and the sensitive data of one attempt: put into its input right before its body is called, and kept out
of what it leaves behind (Note [Secrets] in `core/secrets`, Note [Sensitive data] in `core/sensitive`)."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db import close_old_connections

from erip.foundation import redacting
from erip.foundation.errors import EripError
from workflows.core import secrets, sensitive
from workflows.core.claim import Claim
from workflows.core.graph import Work
from workflows.core.sensitive import Parts
from workflows.errors import PermanentStepError, StepError
from workflows.worker import traces

if TYPE_CHECKING:
    from workflows.worker import beats


def unlocked(claim: Claim, work: Work, lines: traces.Lines, beat: "beats.Beat | None") -> Claim:
    """A claim for the body alone, with its secrets, and with what was sealed in its input: it is never reported on, nor
    kept. Raises StepError if a secret, or a key, cannot be had."""
    input, values = claim.input, dict[str, str]()
    texts: list[str] = []
    if work.secrets:
        values = dict(secrets.resolve(claim.workflow, secrets.names_of(work.secrets)))
        input = secrets.fill(input, work.secrets, values)
    if work.opens:
        input, found = _opened(input, work, claim.workflow)
        texts = [text for one in found for text in sensitive.texts_in(one) if len(text) >= redacting.SHORTEST]
    # What a process remembers is bounded: personal data, of which there is much, would push the secrets out. It is
    # struck out of what this attempt logs instead (`erip.foundation.logs`).
    secret = redacting.remember(values.values())
    lines.struck = redacting.Struck([*values.values(), *texts]) if texts else secret
    lines.sealed = redacting.Struck(texts) if texts else None
    if beat is not None:
        beat.struck = lines.struck
    return replace(claim, input=input, snapshot=None)


def _opened(input: Any, work: Work, workflow: str) -> tuple[Any, list[Any]]:
    try:
        return sensitive.open_for_body(input, work.opens, workflow)
    except EripError as error:
        if error.status == 503:
            raise StepError(error.message, code=error.code) from None
        raise PermanentStepError(error.message, code=error.code) from None


def unlocked_elsewhere(claim: Claim, work: Work, lines: traces.Lines, beat: "beats.Beat | None") -> Claim:
    """The same, in a thread that is not one of the executor's."""
    try:
        return unlocked(claim, work, lines, beat)
    finally:
        close_old_connections()


def sealed(claim: Claim, parts: Parts, output: Any) -> Any:
    """A copy of an output, with its sensitive parts sealed. Raises StepError."""
    try:
        return sensitive.seal(parts, output, claim.workflow, claim.run_id)
    except EripError as error:
        raise PermanentStepError(error.message, code=error.code) from None
