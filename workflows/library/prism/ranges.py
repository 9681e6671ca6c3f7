"""The ranges that the simulation uses where the input gives none. Plain Python."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol

from workflows.library.prism.contract import LossComponent, PertRange, QuantifyInput
from workflows.library.prism.simulation import rate_from_history
from workflows.library.vocabulary import CATEGORIES, INCIDENTS, categories_in_force, named

DAYS_A_YEAR = 365.25


class FactorLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def per_record(self) -> bool: ...
    @property
    def low(self) -> float: ...
    @property
    def mode(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def probability(self) -> float: ...
    @property
    def cap(self) -> float | None: ...
    @property
    def incident_types(self) -> frozenset[str]: ...
    @property
    def data_categories(self) -> frozenset[str]: ...


class NoBasis(ValueError):
    """There is nothing to derive a range from; the message says what to give or to enter."""


def without_unknown(
    data: QuantifyInput, factors: Sequence[FactorLike], past_kinds: Iterable[str]
) -> tuple[QuantifyInput, list[str]]:
    """The input without unknown words, and sentences that say what is missing and what this leaves out."""
    told: list[str] = []
    kinds = {kind for one in factors for kind in one.incident_types} | set(past_kinds)
    kind = data.incident_type
    if kind is not None and kind not in kinds and not INCIDENTS.heads(kind):
        # Treated as not given: past incidents would say of a kind that does not exist that it never happens.
        told += named("incident type", [INCIDENTS.read(kind)])
        data = data.model_copy(update={"incident_type": None})
    own = {word for one in factors for word in one.data_categories}
    told += named("data category", CATEGORIES.read_all(word for word in data.data_categories if word not in own))
    if data.components or data.magnitude is not None or data.magnitude_from != "factors":
        return data, told
    if data.affected_records is None:
        told.append("affected_records is not known: losses that grow with the records were left out")
    if data.incident_type is None:
        left = [one.name for one in factors if one.incident_types]
        if left:
            told.append(f"the incident type is not known: left out were {', '.join(left)}")
    return data, told


def components_of(
    data: QuantifyInput, factors: Sequence[FactorLike], past: Iterable[tuple[str, float]]
) -> tuple[list[LossComponent], str]:
    """The kinds of loss of one event, and where they come from. `past` holds (incident type, loss). Raises NoBasis."""
    if data.components:
        return data.components, "losses: components given"
    if data.magnitude is not None:
        return [LossComponent(name="loss", **data.magnitude.model_dump())], "losses: magnitude given"
    if data.magnitude_from == "history":
        return _from_history([loss for name, loss in past if data.incident_type in (None, name)])
    held = categories_in_force(data.data_categories)
    found = []
    for factor in factors:
        # A loss that depends on a kind of incident or of data is not assumed while that kind is not known.
        if factor.incident_types and data.incident_type not in factor.incident_types:
            continue
        if factor.data_categories and not factor.data_categories & held:
            continue
        times = data.affected_records or 0 if factor.per_record else 1
        if not times:
            continue
        most = float("inf") if factor.cap is None else factor.cap
        low, mode, high = (min(most, times * value) for value in (factor.low, factor.mode, factor.high))
        found.append(LossComponent(name=factor.name, low=low, mode=mode, high=high, probability=factor.probability))
    if not found:
        raise NoBasis("no loss factor fits this incident; give magnitude or components, or enter loss factors")
    records = "unknown" if data.affected_records is None else str(data.affected_records)
    return found, f"losses: {len(found)} loss factors, {records} records"


def _from_history(losses: Sequence[float]) -> tuple[list[LossComponent], str]:
    """A PERT with the least and the greatest loss of past events and, as far as possible, their mean."""
    if len(losses) < 3:
        raise NoBasis(f"{len(losses)} past incidents are too few to derive losses from; 3 are the least")
    low, high, mean = min(losses), max(losses), sum(losses) / len(losses)
    mode = min(high, max(low, (6 * mean - low - high) / 4))
    return [LossComponent(name="loss of past incidents", low=low, mode=mode, high=high)], (
        f"losses: {len(losses)} past incidents"
    )


def frequency_of(
    data: QuantifyInput, past: Iterable[tuple[str, date]], observed_since: date | None, today: date
) -> tuple[PertRange, str]:
    """Events per year, and where the figure comes from. `past` holds (incident type, day). Raises NoBasis."""
    if data.frequency is not None:
        return data.frequency, "frequency: given"
    if observed_since is None or observed_since >= today:
        raise NoBasis("no organisation with a past is registered; give frequency, or enter the organisation")
    kind = data.incident_type
    years = (today - observed_since).days / DAYS_A_YEAR
    events = sum((kind is None or name == kind) and observed_since <= day <= today for name, day in past)
    rate = rate_from_history(events, years)
    what = f"{kind} incidents" if kind else "incidents"
    return (
        PertRange(low=rate.low, mode=rate.mode, high=rate.high),
        f"frequency: {events} {what} in {years:.1f} years, 90 % interval",
    )
