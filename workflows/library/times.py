"""What the check of a definition must know of the duties that it names: in `deadlines` the time that they leave, in
`clocks` whether they have a clock."""

from collections.abc import Mapping, Sequence
from typing import Any

from erip.foundation.hooks import duty_faults, obligation_times
from workflows.core.structure import did_you_mean
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


@duty_faults
def faults(codes: Sequence[str]) -> Mapping[str, str]:
    """Why no clock of these duties can start."""
    known = {
        code: (clocks, enabled)
        for code, clocks, enabled in Obligation.objects.filter(code__in=list(codes)).values_list(
            "code", "clocks", "enabled"
        )
    }
    missing = [code for code in codes if code not in known]
    every = list(Obligation.objects.values_list("code", flat=True)[:2_000]) if missing else []
    found = {code: f'there is no duty "{code}"{did_you_mean(code, every)}' for code in missing}
    for code, (clocks, enabled) in known.items():
        if not enabled:
            found[code] = "this duty is switched off"
        elif not clocks:
            found[code] = "this duty has no time limit that a clock could measure"
    return found
