"""The secrets of one attempt: put into its input right before its body is called (Note [Secrets] in `core/secrets`)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import close_old_connections

from erip.foundation import redacting
from workflows.core import secrets
from workflows.core.claim import Claim
from workflows.core.graph import Work
from workflows.worker import traces

if TYPE_CHECKING:
    from workflows.worker import beats


def unlocked(claim: Claim, work: Work, lines: traces.Lines, beat: "beats.Beat | None") -> Claim:
    """A claim for the body alone, with the secrets in its input: it is never reported on, nor kept. Raises StepError if
    a secret cannot be had."""
    values = secrets.resolve(claim.workflow, secrets.names_of(work.secrets))
    lines.struck = redacting.remember(values.values())
    if beat is not None:
        beat.struck = lines.struck
    return replace(claim, input=secrets.fill(claim.input, work.secrets, values), snapshot=None)


def unlocked_elsewhere(claim: Claim, work: Work, lines: traces.Lines, beat: "beats.Beat | None") -> Claim:
    """The same, in a thread that is not one of the executor's."""
    try:
        return unlocked(claim, work, lines, beat)
    finally:
        close_old_connections()
