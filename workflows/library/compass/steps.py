"""compass.assess_compliance and compass.assess_readiness"""

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
from workflows.library.compass import data as store
from workflows.library.compass.contract import (
    ComplianceInput,
    ComplianceOutput,
    ReadinessInput,
    ReadinessOutput,
)
from workflows.library.compass.obligations import assess
from workflows.library.compass.readiness import readiness
from workflows.registry import StepContext, step


@step(
    "compass.assess_compliance",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="The duties to report that an incident brings, each with its legal deadline and source",
)
def assess_compliance(data: ComplianceInput, ctx: StepContext) -> ComplianceOutput:
    # As of the run's creation, so that a later attempt gives the same answer.
    return assess(store.rules(), data, ctx.run_created_at)


@step(
    "compass.assess_readiness",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="How far the organisation meets the requirements of its frameworks",
)
def assess_readiness(data: ReadinessInput, ctx: StepContext) -> ReadinessOutput:
    requirements = store.requirements()
    if data.frameworks:
        wanted = {name.strip().lower() for name in data.frameworks}
        unknown = sorted(wanted - {one.framework.lower() for one in requirements})
        if unknown:
            raise PermanentStepError(
                f"no requirements are registered for {', '.join(unknown)}", code="unknown_framework"
            )
        requirements = [one for one in requirements if one.framework.lower() in wanted]
    return readiness(requirements, ctx.run_created_at.date())
