"""What questionnaire.load and questionnaire.check take and give."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows.library.vocabulary import StepInput, StepOutput

MOST = 300

Said = Literal["yes", "partly", "no", "not_applicable"]


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=60)
    text: str = Field(min_length=1, max_length=1000)
    expects: Said | None = Field(default="yes", description="the answer that leaves nothing to do; null: any")
    why: str = Field(default="", max_length=300, description="what it rests on, such as a clause of a standard")


class LoadInput(StepInput):
    """Questions of one's own, or else those that are shipped under a name."""

    name: str = Field(default="vendor-security", max_length=60)
    questions: list[Question] | None = Field(default=None, max_length=MOST)


class LoadOutput(StepOutput):
    name: str = ""
    questions: list[Question] = []


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(max_length=60)
    answer: Said
    comment: str = Field(default="", max_length=5000)
    evidence: str = Field(default="", max_length=500)


class Form(BaseModel):
    model_config = ConfigDict(extra="ignore")

    answers: list[Answer] = Field(default=[], max_length=2 * MOST)


class Vote(BaseModel):
    """A vote of an approval, as its step gives it. What its form says besides is for people."""

    model_config = ConfigDict(extra="ignore")

    by: str = Field(default="", max_length=200)
    choice: str = Field(default="approve", max_length=20)
    form: Form | None = None


class CheckInput(StepInput):
    """The questions that were asked, and the votes whose forms answer them. Of two answers the later one counts,
    and none of a vote that refuses."""

    questions: list[Question] = Field(default=[], max_length=MOST)
    votes: list[Vote] = Field(default=[], max_length=40)


class Deviation(BaseModel):
    question: str
    text: str
    answer: Said
    expects: Said
    comment: str = ""
    why: str = ""


class CheckOutput(StepOutput):
    """score: of the questions that were answered, and apply, the share that is as expected: half for "partly".
    Null is not known: nothing was answered. An unanswered question is neither a yes nor a no, and is counted apart."""

    score: float | None = Field(default=None, ge=0, le=100)
    complete: bool = False
    asked: int = 0
    answered: int = 0
    unanswered: list[str] = []
    not_asked: list[str] = Field(default=[], description="answers to questions that nobody asked")
    deviations: list[Deviation] = []
    answers: list[Answer] = []
