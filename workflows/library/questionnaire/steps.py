"""questionnaire.load and questionnaire.check"""

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
from workflows.library.questionnaire.contract import (
    CheckInput,
    CheckOutput,
    Deviation,
    LoadInput,
    LoadOutput,
    Question,
)
from workflows.library.shipping.files import fixture
from workflows.registry import step


@step(
    "questionnaire.load",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="The questions to ask: one's own, or those that are shipped",
)
def load(data: LoadInput) -> LoadOutput:
    if data.questions is not None:
        found = data.questions
    else:
        shipped = {row["name"]: row["questions"] for row in fixture("questionnaires.yaml")}
        if data.name not in shipped:
            raise PermanentStepError(
                f"there is no questionnaire {data.name!r}; there is {', '.join(sorted(shipped))}",
                code="unknown_questionnaire",
            )
        found = [Question.model_validate(row) for row in shipped[data.name]]
    twice = sorted({one.id for one in found if sum(other.id == one.id for other in found) > 1})
    if twice:
        raise PermanentStepError(f"questions with the same id: {', '.join(twice)}", code="same_question")
    return LoadOutput(name=data.name, questions=found)


@step(
    "questionnaire.check",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="What answers to a questionnaire amount to, and what is still open",
)
def check(data: CheckInput) -> CheckOutput:
    forms = [vote.form for vote in data.votes if vote.form is not None and vote.choice != "refuse"]
    given = {one.question: one for form in forms for one in form.answers}
    asked = {one.id: one for one in data.questions}
    deviations: list[Deviation] = []
    points: list[float] = []
    for id, question in asked.items():
        answer = given.get(id)
        if answer is None or question.expects is None or answer.answer == "not_applicable":
            continue
        points.append(1.0 if answer.answer == question.expects else 0.5 if answer.answer == "partly" else 0.0)
        if answer.answer != question.expects:
            deviations.append(
                Deviation(
                    question=id,
                    text=question.text,
                    answer=answer.answer,
                    expects=question.expects,
                    comment=answer.comment,
                    why=question.why,
                )
            )
    unanswered = [id for id in asked if id not in given]
    return CheckOutput(
        score=round(100 * sum(points) / len(points), 1) if points else None,
        complete=bool(asked) and not unanswered,
        asked=len(asked),
        answered=len(asked) - len(unanswered),
        unanswered=unanswered,
        not_asked=[id for id in given if id not in asked],
        deviations=deviations,
        answers=[given[id] for id in asked if id in given],
    )
