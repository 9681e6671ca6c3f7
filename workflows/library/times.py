"""The time that an obligation leaves, for the check of a definition that names it in `deadlines`."""

from collections.abc import Mapping, Sequence
from typing import Any

from erip.foundation.hooks import obligation_times
from workflows.library.models import Obligation

#: hours of one, at the least; what counts from the end of a year leaves no fixed time
_HOURS = {"hours": 1, "days": 24, "business_days": 24, "months": 28 * 24}


@obligation_times
def times(names: Sequence[str]) -> Mapping[str, float]:
    """The shortest of each obligation's clocks, in seconds. One that must be met without a fixed time is left out."""
    found = Obligation.objects.filter(code__in=list(names)).values_list("code", "clocks")
    return {code: seconds for code, clocks in found if (seconds := _shortest(clocks)) is not None}


def _shortest(clocks: Any) -> float | None:
    known = [
        clock["amount"] * _HOURS[clock["unit"]] * 3_600.0
        for clock in (clocks if isinstance(clocks, list) else [])
        if isinstance(clock, dict) and clock.get("unit") in _HOURS and isinstance(clock.get("amount"), int)
    ]
    return min(known, default=None)
