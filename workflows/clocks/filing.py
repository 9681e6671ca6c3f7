"""`clocks.file`: clocks of the run are filed with the proofs that a person gave, such as in the form of an approval.

A proof that fits no clock, comes too late for it, or stands in the form of a vote that refuses, is reported and never
fails the step: a response must not end because one reference has a wrong code. To file the same proof twice changes
nothing.

A duty without a time limit ("without undue delay") has no clock. Its proof is `recorded` in the output, from where
`clocks.standing` has it: nothing says whether that was in time, and nobody is woken for it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from erip.foundation.moments import moment
from workflows.clocks import changing
from workflows.clocks.errors import ClocksError
from workflows.clocks.models import OPEN, LegalClock, State
from workflows.core.graph import Retry
from workflows.library.compass import data as duties
from workflows.registry import StepContext, step


class Filing(BaseModel):
    """One proof: what was filed for which duty."""

    model_config = ConfigDict(extra="forbid")

    obligation: str = Field(max_length=60, description="code of the duty, such as gdpr-33")
    reference: str = Field(min_length=1, max_length=200, description="what the authority knows it by")
    document: str = Field(default="", max_length=500, description="where the document is")
    at: str | None = Field(
        default=None, max_length=64, description="when it was filed; default: when that was voted, else now"
    )


class Form(BaseModel):
    model_config = ConfigDict(extra="ignore")

    filings: list[Filing] = Field(default=[], max_length=100)


class Vote(BaseModel):
    """A vote of an approval, as its step gives it. What its form says besides is for people."""

    model_config = ConfigDict(extra="ignore")

    by: str = Field(max_length=200)
    choice: str = Field(default="approve", max_length=20)
    form: Form | None = None
    at: str = Field(default="", max_length=64)


class FileInput(BaseModel):
    """Proofs, and who gave them; or the votes of an approval whose form has them as `filings`."""

    model_config = ConfigDict(extra="forbid")

    filings: list[Filing] = Field(default=[], max_length=100)
    by: str = Field(default="", max_length=200, description="such as user:anna; default: the workflow")
    votes: list[Vote] = Field(default=[], max_length=40)


class Filed(BaseModel):
    obligation: str
    clock: int
    reference: str


class NotFiled(BaseModel):
    obligation: str
    why: str


class StillOpen(BaseModel):
    obligation: str
    clock: int
    state: str
    due_at: datetime | None


class Recorded(BaseModel):
    """A proof that a duty without a clock was met. at: when it was sent."""

    model_config = ConfigDict(extra="ignore")

    obligation: str = Field(max_length=60)
    reference: str = Field(max_length=200)
    document: str = Field(default="", max_length=500)
    at: datetime
    by: str = Field(max_length=200)


class FileOutput(BaseModel):
    """filed: clocks that have the proof now. recorded: proofs for duties without a clock. open: clocks of the run that
    still want something of somebody."""

    filed: list[Filed] = []
    recorded: list[Recorded] = []
    not_filed: list[NotFiled] = []
    open: list[StillOpen] = []


@step(
    "clocks.file",
    timeout=30.0,
    retry=Retry(max_attempts=10),
    summary="File legal clocks of the run with proofs; says which are still open",
)
def file(data: FileInput, ctx: StepContext) -> FileOutput:
    given = [(filing, data.by or f"workflow:{ctx.workflow}", "") for filing in data.filings]
    found = FileOutput()
    for vote in data.votes:
        proofs = vote.form.filings if vote.form else []
        if vote.choice == "refuse":
            # It says that there is nothing to notify. A clock that runs on alarms somebody; one that is filed does not.
            found.not_filed += [
                _not(one, f"{vote.by} refused: file it at its legal clock if it was sent") for one in proofs
            ]
        else:
            given += [(filing, vote.by, vote.at) for filing in proofs]
    without = {rule.code for rule in duties.rules() if not rule.document} if given else set()
    for filing, by, voted in given:
        rows = list(LegalClock.objects.filter(run_id=ctx.run_id, obligation=filing.obligation).order_by("pk"))
        if not rows and filing.obligation in without:
            try:
                one = _recorded(filing, by, voted)
            except ValueError as error:
                found.not_filed.append(_not(filing, f"at: {error}"))
            else:
                if not any((one.obligation, one.reference) == (it.obligation, it.reference) for it in found.recorded):
                    found.recorded.append(one)
        elif not rows:
            found.not_filed.append(_not(filing, "the run has no legal clock of this duty"))
        for row in rows:
            try:
                _file(UUID(ctx.run_id), row, filing, by, voted)
            except ValueError as error:
                found.not_filed.append(_not(filing, f"at: {error}"))
            except ClocksError as error:
                said = "; ".join(str(fault) for fault in error.faults) or str(error)
                found.not_filed.append(_not(filing, said))
            else:
                found.filed.append(Filed(obligation=row.obligation, clock=row.pk, reference=filing.reference))
    open_ = LegalClock.objects.filter(run_id=ctx.run_id, state__in=OPEN)
    found.open = [
        StillOpen(obligation=row.obligation, clock=row.pk, state=row.state, due_at=row.due_at) for row in open_
    ]
    return found


def _file(run_id: UUID, row: LegalClock, filing: Filing, by: str, voted: str) -> None:
    """Raises ClocksError, and ValueError for a moment that is none."""
    at = None if filing.at is None else moment(filing.at)
    if row.filed is not None and filing.reference in _references(row.filed):
        return
    if at is None and voted and row.state != State.FILED:
        # A step that was late must not make a notification late. Another primary's clock may be a little behind.
        at = min(moment(voted), changing.database_clock())
    changing.file(
        run_id,
        row.pk,
        by=by,
        reference=filing.reference,
        document=filing.document,
        at=at,
        again=row.state == State.FILED,
    )


def _recorded(filing: Filing, by: str, voted: str) -> Recorded:
    """Raises ValueError for a moment that is none, or lies ahead."""
    now = changing.database_clock()
    if filing.at is None:
        at = min(moment(voted), now) if voted else now
    elif (at := moment(filing.at)) > now:
        raise ValueError("it lies ahead")
    return Recorded(obligation=filing.obligation, reference=filing.reference, document=filing.document, at=at, by=by)


def _references(filed: dict[str, Any]) -> set[str]:
    return {filed["reference"], *(one["reference"] for one in filed.get("updates", ()))}


def _not(filing: Filing, why: str) -> NotFiled:
    return NotFiled(obligation=filing.obligation, why=why)
