"""trust.assess_operations and trust.calculate_score"""

from datetime import timedelta

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
from workflows.library.atlas.data import organisation
from workflows.library.trust import data as store
from workflows.library.trust.contract import OperationsInput, OperationsOutput, TrustInput, TrustOutput
from workflows.library.trust.score import NothingToScore, operations, trust_score
from workflows.registry import StepContext, step


@step(
    "trust.assess_operations",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="How well operations run: runs that succeed, incidents contained in time",
)
def assess_operations(data: OperationsInput, ctx: StepContext) -> OperationsOutput:
    company = organisation()
    runs, succeeded = store.ended_runs(data.runs)
    target = company.containment_target_hours if company else None
    incidents = in_time = 0
    if target is not None:
        since = ctx.run_created_at.date() - timedelta(days=data.days)
        incidents, in_time = store.contained(since, target)
    return operations(runs=runs, succeeded=succeeded, incidents=incidents, contained=in_time, target_hours=target)


@step(
    "trust.calculate_score",
    timeout=5.0,
    retry=Retry(max_attempts=3),
    summary="The trust score: compliance 0.30, security 0.30, risk 0.25, operations 0.15",
)
def calculate_score(data: TrustInput) -> TrustOutput:
    try:
        return trust_score(data.model_dump())
    except NothingToScore as error:
        raise PermanentStepError(str(error), code="nothing_to_score") from error
