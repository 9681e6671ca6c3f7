"""What containment.carry_out and containment.undo take and give."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workflows.library.vocabulary import StepInput, StepOutput

#: measures of one containment
MOST = 50

#: ordered    it was handed to whoever carries it out
#: by_hand    nobody is entered who could be asked: a person has to do it
#: refused    nobody will ever take the order: it has surely not been carried out
#: unknown    it could not be handed over, attempt after attempt, and may have arrived all the same
State = Literal["ordered", "by_hand", "refused", "unknown"]


class Measure(BaseModel):
    """One thing that is done to contain an incident."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(min_length=1, max_length=500, description="what is to be done, such as: cut off the gateway")
    target: str = Field(default="", max_length=200, description="to what, such as the name of an asset")
    undo: str = Field(default="", max_length=500, description="what takes it back; default: the action, taken back")


class Containment(StepInput):
    """Measures in the order in which they are carried out, and who carries them out.

    Without `email` and `webhook` the orders go to the notification targets of the workflow.
    """

    measures: list[Measure] = Field(default=[], max_length=MOST)
    email: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=10)
    webhook: list[Annotated[str, Field(max_length=2000)]] = Field(default=[], max_length=10)


class Form(BaseModel):
    model_config = ConfigDict(extra="ignore")

    measures: list[Measure] | None = Field(default=None, max_length=MOST)


class Vote(BaseModel):
    """A vote of an approval, as its step gives it. What its form says besides is for people."""

    model_config = ConfigDict(extra="ignore")

    choice: str = Field(default="approve", max_length=20)
    form: Form | None = None


class PlanInput(StepInput):
    """What was meant to be done, and votes whose form may name other measures: the last one that does counts,
    and none that refuses."""

    containment: Containment | None = None
    votes: list[Vote] = Field(default=[], max_length=40)
    subject: str = Field(default="", max_length=200, description="what it is about, such as the id of a breach")


class PlanOutput(StepOutput):
    """Input of containment.carry_out."""

    measures: list[Measure] = []
    subject: str = ""
    email: list[str] = []
    webhook: list[str] = []


class CarryOutInput(Containment):
    """The measures, who carries them out, and what they are about."""

    subject: str = Field(default="", max_length=200)


class Carried(BaseModel):
    """A measure, and what became of its order."""

    model_config = ConfigDict(extra="forbid")

    place: int = Field(ge=0, description="in the order of carrying out, from 0")
    action: str
    target: str = ""
    undo: str = ""
    state: State
    detail: str = ""


class CarryOutOutput(StepOutput):
    measures: list[Carried] = []
    note: str = Field(default="", description="what a person has to look at; empty: nothing")


class UndoInput(StepInput):
    """What was carried out: outputs of containment.carry_out in their order; null is one that did not run."""

    carried_out: list[CarryOutOutput | None] = Field(default=[], max_length=20)
    reason: str = Field(default="", max_length=2000, description="why it is taken back")
    subject: str = Field(default="", max_length=200)
    email: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=10)
    webhook: list[Annotated[str, Field(max_length=2000)]] = Field(default=[], max_length=10)

    @field_validator("reason", mode="before")
    @classmethod
    def _cut(cls, given: object) -> object:
        # A comment of many pages must not keep a measure from being taken back.
        return given[:2000] if isinstance(given, str) else given


class Undone(BaseModel):
    """A measure that was taken back, and what became of that order."""

    place: int
    action: str = Field(description="what was ordered now")
    undoes: str = Field(description="the action that it takes back")
    target: str = ""
    state: State
    detail: str = ""


class UndoOutput(StepOutput):
    undone: list[Undone] = Field(default=[], description="in the order of taking back: the last measure first")
    left: list[Carried] = Field(default=[], description="measures that were surely never carried out")
    reason: str = ""
    note: str = ""
