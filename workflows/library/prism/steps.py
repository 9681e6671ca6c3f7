"""prism.quantify_risk"""

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
from workflows.library.atlas.data import OrganisationFacts, organisation
from workflows.library.nexus.data import past_incidents
from workflows.library.prism import data as store
from workflows.library.prism.contract import PertRange, QuantifyInput, QuantifyOutput, SingleLoss
from workflows.library.prism.ranges import NoBasis, components_of, frequency_of, without_unknown
from workflows.library.prism.simulation import (
    Component,
    Model,
    Pert,
    Result,
    TooManyEvents,
    figures,
    seed_of,
    simulate,
)
from workflows.registry import StepContext, step


@step(
    "prism.quantify_risk",
    timeout=60.0,
    retry=Retry(max_attempts=3),
    summary="The yearly loss by FAIR Monte Carlo: ALE, percentiles, value at risk, convergence",
)
def quantify_risk(data: QuantifyInput, ctx: StepContext) -> QuantifyOutput:
    company = organisation()
    factors = () if data.components or data.magnitude else store.factors()
    data, assumptions = without_unknown(data, factors, (one.traits.incident_type or "" for one in past_incidents()))
    try:
        components, losses_from = components_of(
            data,
            factors,
            ((one.traits.incident_type or "", one.loss) for one in past_incidents()),
        )
        frequency, rate_from = frequency_of(
            data,
            ((one.traits.incident_type or "", one.occurred_on) for one in past_incidents()),
            company.observed_since if company else None,
            ctx.run_created_at.date(),
        )
    except NoBasis as error:
        # One unknown word may leave no basis for a figure. A critical run then lacks its loss, and nothing else.
        return _not_known(company, [*assumptions, f"the loss is not known: {error}"])
    model = Model(
        frequency=_pert(frequency),
        components=tuple(Component(_pert(one), one.probability) for one in components),
        vulnerability=_pert(data.vulnerability) if data.vulnerability else Pert(1, 1, 1),
    )
    seed = data.seed if data.seed is not None else seed_of(ctx.run_id, ctx.step)
    try:
        result = simulate(model, data.iterations, seed)
    except TooManyEvents as error:
        raise PermanentStepError(str(error), code="too_many_events") from error
    found = figures(result.annual)
    relative = found.relative_error(model.annual_mean, model.annual_variance**0.5, data.iterations)
    appetite = company.risk_appetite if company else None
    used = found.p95 / appetite if appetite else None
    return QuantifyOutput(
        currency=company.currency if company else "USD",
        ale=_money(found.ale),
        p5=_money(found.p5),
        p50=_money(found.p50),
        p95=_money(found.p95),
        var95=_money(found.p95),
        es95=_money(found.es95),
        probability_of_loss=round(found.probability_of_loss, 6),
        single_loss=_single(result),
        standard_error=_money(found.standard_error),
        convergence_error=round(relative, 6),
        converged=relative <= data.tolerance,
        analytic_ale=_money(model.annual_mean),
        iterations=data.iterations,
        seed=seed,
        frequency=frequency,
        components=components,
        risk_appetite=appetite,
        appetite_used=None if used is None else round(used, 4),
        score=None if used is None else round(100 * max(0.0, 1 - used), 2),
        basis=[rate_from, losses_from],
        assumptions=assumptions,
        sample_data=[
            name
            for name, used in (
                ("loss factors", any(one.sample for one in factors)),
                ("past incidents", data.frequency is None and any(one.sample for one in past_incidents())),
                ("organisation", company is not None and company.sample),
            )
            if used
        ],
    )


def _not_known(company: OrganisationFacts | None, assumptions: list[str]) -> QuantifyOutput:
    return QuantifyOutput(
        known=False,
        ale=None,
        p5=None,
        p50=None,
        p95=None,
        var95=None,
        es95=None,
        probability_of_loss=None,
        currency=company.currency if company else "USD",
        risk_appetite=company.risk_appetite if company else None,
        assumptions=assumptions,
    )


def _pert(given: PertRange) -> Pert:
    return Pert(given.low, given.mode, given.high)


def _money(value: float) -> float:
    return round(value, 2)


def _single(result: Result) -> SingleLoss:
    one = figures(result.single)
    return SingleLoss(mean=_money(one.ale), p5=_money(one.p5), p50=_money(one.p50), p95=_money(one.p95))
