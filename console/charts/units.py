"""Numbers as people read them."""

import math
from datetime import UTC, datetime

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))

UNKNOWN = "unknown"


def number(value: float | None) -> str:
    """Three digits that count: 0, 0.042, 3.14, 12.3k. Unknown is said, never shown as 0."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    for factor, name in _SI:
        if size >= factor * 0.9995:
            return f"{_digits(value / factor)}{name}"
    return _digits(value)


def of(metric: str, value: float | None, *, rate: bool = False) -> str:
    """A value of a metric with its unit, which its name ends in."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    name = metric.removesuffix("_total")
    if name.endswith("_cpu_seconds") and rate:
        return number(value)
    if name.endswith("_bytes"):
        return size(value) + ("/s" if rate else "")
    if rate:
        return f"{number(value)}/s"
    if name.endswith("_seconds"):
        return seconds(value)
    if name.endswith("_days_left"):
        return f"{number(value)} d"
    return number(value)


def unit(metric: str, *, rate: bool) -> str:
    """What the numbers of a metric count, where they do not say so themselves."""
    if metric.removesuffix("_total").endswith("_cpu_seconds") and rate:
        return "cores in use"
    return "a second" if rate else ""


def size(value: float) -> str:
    for factor, name in _BINARY:
        if abs(value) >= factor * 0.9995:
            return f"{_digits(value / factor)} {name}"
    return f"{_digits(value)} B"


def seconds(value: float) -> str:
    """A length of time: 0, 40 ms, 2.5 s, 3 min, 5 h, 12 d."""
    length = abs(value)
    sign = "-" if value < 0 else ""
    if length < 1e-6:
        return "0 s"
    if length < 1:
        return f"{sign}{_digits(length * 1000)} ms"
    for factor, name in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if length >= factor * 2:
            return f"{sign}{_digits(length / factor)} {name}"
    return f"{sign}{_digits(length)} s"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    # Two digits of what is less than a tenth are enough.
    digits = 1 if abs(value) < 0.1 else 2
    places = max(0, digits - math.floor(math.log10(abs(value)))) if abs(value) < 1000 else 0
    text = f"{value:.{min(places, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def nice(top: float) -> tuple[float, float]:
    """(the end of an axis from 0 that holds `top`, the distance of its lines): 2 to 4 lines, round numbers."""
    if not math.isfinite(top) or top <= 0:
        return 1.0, 0.5
    power = 10.0 ** math.floor(math.log10(top / 3))
    for factor in (1, 2, 2.5, 5, 10):
        step = factor * power
        lines = math.ceil(top / step - 1e-9)
        if lines <= 4:
            return lines * step, step
    return 10 * power, 5 * power


def nice_bytes(top: float) -> tuple[float, float]:
    """The same in powers of 1024."""
    if not math.isfinite(top) or top <= 0:
        return 1024.0, 512.0
    power = 1024.0 ** max(0, math.floor(math.log(top, 1024)))
    end, step = nice(top / power)
    return end * power, step * power
