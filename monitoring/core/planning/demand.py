"""What is asked of the planner: rates, counts, a deadline, prices. Every fault at once, each with its option."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from erip.foundation.faults import Fault

_AMOUNT: Final = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([kMG]?)"
_RATE = re.compile(_AMOUNT + r"/(s|min|h|d)")
_COUNT = re.compile(_AMOUNT)
_DEADLINE = re.compile(r"p(50|90|95|99)=([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s)")
_NAMED = re.compile(r"([a-z][a-z0-9-]{0,62})=(.*)", re.DOTALL)
_TIMES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
#: the largest rate, in things per second, and the largest count: beyond them somebody made a typing error
MOST_RATE, MOST_COUNT, MOST_WAIT = 1e7, 1e12, 3_600.0
#: what a price file may name, each for a month of 730 hours
PRICES: Final = ("core", "memory_gib", "disk_gib", "iops")
_DEAREST: Final = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Demand:
    """critical, runs: runs per second of the mix that was seen. named: runs per second by workflow. events: per second.
    kept: runs in the database. percentile, wait: the wait of a critical step for a worker, in seconds."""

    critical: float = 0.0
    runs: float = 0.0
    named: Mapping[str, float] = field(default_factory=dict)
    events: float = 0.0
    kept: float = 0.0
    percentile: int | None = None
    wait: float | None = None

    @property
    def all_runs(self) -> float:
        return self.critical + self.runs + sum(self.named.values())


def read(
    *, critical: str | None, runs: Sequence[str], events: str | None, kept: str | None, deadline: str | None
) -> tuple[Demand, list[Fault]]:
    """The demand, and all that is wrong with it."""
    faults: list[Fault] = []
    named: dict[str, float] = {}
    mixed = 0.0
    for text in runs:
        found = _NAMED.fullmatch(text)
        rate = _rate("--runs", found[2] if found else text, faults)
        if found and found[1] in named:
            faults.append(Fault("--runs", f"names {found[1]} twice"))
        elif found:
            named[found[1]] = rate
        elif mixed:
            faults.append(Fault("--runs", "has two rates without a workflow"))
        else:
            mixed = rate
    percentile, wait = _deadline(deadline, faults)
    demand = Demand(
        critical=0.0 if critical is None else _rate("--critical", critical, faults),
        runs=mixed,
        named=named,
        events=0.0 if events is None else _rate("--events", events, faults),
        kept=0.0 if kept is None else _count("--runs-kept", kept, faults),
        percentile=percentile,
        wait=wait,
    )
    if not faults and not (demand.all_runs or demand.events or demand.kept):
        faults.append(Fault("", "needs one of --critical, --runs, --events and --runs-kept"))
    if not faults and demand.wait is not None and not demand.critical:
        faults.append(Fault("--deadline", "is about critical runs: it goes with --critical"))
    return demand, faults


def _rate(option: str, text: str, faults: list[Fault]) -> float:
    found = _RATE.fullmatch(text)
    if found is None:
        faults.append(
            Fault(option, f"is a number and its unit, such as 200/s, 1.5k/s, 90/min or 3M/d, not {_cut(text)}")
        )
        return 0.0
    return _within(option, float(found[1]) * _TIMES[found[2]] / _SECONDS[found[3]], MOST_RATE, "/s", faults)


def _count(option: str, text: str, faults: list[Fault]) -> float:
    found = _COUNT.fullmatch(text)
    if found is None:
        faults.append(Fault(option, f"is a count such as 50M, not {_cut(text)}"))
        return 0.0
    return _within(option, float(found[1]) * _TIMES[found[2]], MOST_COUNT, "", faults)


def _deadline(text: str | None, faults: list[Fault]) -> tuple[int | None, float | None]:
    if text is None:
        return None, None
    found = _DEADLINE.fullmatch(text)
    if found is None:
        faults.append(Fault("--deadline", f"is p50, p90, p95 or p99 and a time, such as p99=50ms, not {_cut(text)}"))
        return None, None
    wait = float(found[2]) / (1_000 if found[3] == "ms" else 1)
    return int(found[1]), _within("--deadline", wait, MOST_WAIT, " s", faults)


def _within(option: str, value: float, most: float, unit: str, faults: list[Fault]) -> float:
    if value <= 0:
        faults.append(Fault(option, "is above 0: leave it out where there is none"))
        return 0.0
    if value > most:
        faults.append(Fault(option, f"is {most:g}{unit} at the most"))
        return 0.0
    return value


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a month."""

    currency: str
    each: Mapping[str, float]


def prices(document: Any) -> tuple[Prices | None, list[Fault]]:
    """The prices in a file that was read, and all that is wrong with them."""
    if not isinstance(document, Mapping):
        return None, [Fault("", "is a mapping of currency and prices")]
    faults = [
        Fault(str(name)[:60], f"is not known; known are currency, {', '.join(PRICES)}")
        for name in document
        if name not in PRICES and name != "currency"
    ]
    currency = document.get("currency")
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        faults.append(Fault("currency", "is three capital letters, such as EUR"))
    found: dict[str, float] = {}
    for name in PRICES:
        price = document.get(name)
        if price is None:
            continue
        # A whole number of YAML may be larger than any float; comparing it is no trouble.
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price <= _DEAREST:
            faults.append(Fault(name, f"is a number of 0 to {_DEAREST:,}: the price of one for a month"))
        else:
            found[name] = float(price)
    return (None if faults else Prices(str(currency), found)), faults
