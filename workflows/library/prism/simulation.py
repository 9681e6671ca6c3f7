"""FAIR by Monte Carlo: a year's loss is the sum of the losses of that year's events.

For each simulated year: the rate λ is drawn from the frequency's PERT (times the vulnerability's, if given), the
number of events from Poisson(λ), and each event's loss is the sum of its components, each drawn from its own PERT and
brought in with its probability. All draws are vectorised, from one PCG64 stream, so a seed fixes every number.

PERT (low a, mode m, high b) is the beta distribution on [a, b] with alpha = 1 + 4(m-a)/(b-a), beta = 1 + 4(b-m)/(b-a):
mean μ = (a + 4m + b)/6, variance (μ-a)(b-μ)/7. Vose, Risk Analysis; Open FAIR, The Open Group O-RA.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:

    class _Numpy:
        """numpy, when something of it is first used: web processes and leaders know this module, and never simulate.
        Workers whose platform simulates have it loaded before they start (`library/warm`)."""

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module("numpy"), name)

    np = _Numpy()
    Floats = Any

#: how many events are drawn at a time: this bounds the memory (8 bytes each, a few arrays)
CHUNK_EVENTS: Final = 1_000_000
#: how many events in all: this bounds the time
MAX_EVENTS: Final = 50_000_000


class TooManyEvents(ValueError):
    """The frequency times the iterations is beyond what is simulated; lower one of them."""


@dataclass(frozen=True, slots=True)
class Pert:
    low: float
    mode: float
    high: float

    @property
    def mean(self) -> float:
        return (self.low + 4 * self.mode + self.high) / 6

    @property
    def variance(self) -> float:
        return (self.mean - self.low) * (self.high - self.mean) / 7

    def draw(self, rng: "np.random.Generator", size: int) -> Floats:
        width = self.high - self.low
        if width <= 0:
            return np.full(size, self.low)
        alpha = 1 + 4 * (self.mode - self.low) / width
        beta = 1 + 4 * (self.high - self.mode) / width
        drawn: Floats = self.low + width * rng.beta(alpha, beta, size)
        return drawn


@dataclass(frozen=True, slots=True)
class Component:
    loss: Pert
    probability: float = 1.0

    @property
    def mean(self) -> float:
        return self.probability * self.loss.mean

    @property
    def variance(self) -> float:
        second = self.loss.variance + self.loss.mean**2
        return self.probability * second - self.mean**2


@dataclass(frozen=True)
class Model:
    frequency: Pert
    components: tuple[Component, ...]
    vulnerability: Pert = Pert(1, 1, 1)

    @property
    def event_mean(self) -> float:
        return sum(one.mean for one in self.components)

    @property
    def event_variance(self) -> float:
        return sum(one.variance for one in self.components)

    @property
    def rate_mean(self) -> float:
        return self.frequency.mean * self.vulnerability.mean

    @property
    def rate_variance(self) -> float:
        second = (self.frequency.variance + self.frequency.mean**2) * (
            self.vulnerability.variance + self.vulnerability.mean**2
        )
        return second - self.rate_mean**2

    @property
    def annual_mean(self) -> float:
        """E[S] = E[λ] E[X]."""
        return self.rate_mean * self.event_mean

    @property
    def annual_variance(self) -> float:
        """Var[S] = E[λ] E[X²] + Var[λ] E[X]²: compound Poisson with a rate that is uncertain itself."""
        second = self.event_variance + self.event_mean**2
        return self.rate_mean * second + self.rate_variance * self.event_mean**2


@dataclass(frozen=True, slots=True)
class Result:
    annual: Floats
    single: Floats


def simulate(model: Model, iterations: int, seed: int) -> Result:
    """`iterations` simulated years, and as many single events. Raises TooManyEvents."""
    # This is far above the expected number, so the refusal depends on the model and not on luck.
    if model.frequency.high * model.vulnerability.high * iterations > MAX_EVENTS:
        raise TooManyEvents(
            f"{model.frequency.high:g} events a year in {iterations} simulated years are more than "
            f"{MAX_EVENTS} events; lower the frequency or the iterations"
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    rates = model.frequency.draw(rng, iterations) * model.vulnerability.draw(rng, iterations)
    counts = rng.poisson(rates)
    annual = np.zeros(iterations)
    ends = np.cumsum(counts)
    start = 0
    while start < iterations:
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + CHUNK_EVENTS, side="right"))
        stop = min(iterations, max(stop, start + 1))
        years = np.repeat(np.arange(stop - start), counts[start:stop])
        losses = _events(model.components, rng, len(years))
        annual[start:stop] = np.bincount(years, weights=losses, minlength=stop - start)
        start = stop
    return Result(annual, _events(model.components, rng, iterations))


def _events(components: Sequence[Component], rng: "np.random.Generator", size: int) -> Floats:
    losses = np.zeros(size)
    for component in components:
        drawn = component.loss.draw(rng, size)
        if component.probability < 1:
            drawn = np.where(rng.random(size) < component.probability, drawn, 0.0)
        losses += drawn
    return losses


@dataclass(frozen=True, slots=True)
class Figures:
    ale: float
    p5: float
    p50: float
    p95: float
    es95: float
    probability_of_loss: float
    standard_error: float

    def relative_error(self, expected: float, deviation: float, years: int) -> float:
        """The standard error of the ale in proportion to it, given the model's own mean and standard deviation.

        The larger of the years' own error and the closed form's: a loss so rare that no year has it shows an
        error of 0, and would look like the best of simulations.
        """
        if expected <= 0:
            return 0.0
        return max(self.standard_error, deviation / float(np.sqrt(years))) / expected


def figures(annual: Floats) -> Figures:
    """The figures of simulated losses, one loss per year. They hold for rare losses and for constant ones too.

    A percentile is the least loss seen that is not exceeded in that share of years (numpy's inverted_cdf): between two
    years lies no loss that could have happened. So p95 is 0 where 95 % of the years have none.
    """
    p5, p50, p95 = (float(value) for value in np.percentile(annual, [5, 50, 95], method="inverted_cdf"))
    # Adding equal losses rounds: without these bounds users could see a mean outside of the range of the losses.
    low, high = float(annual.min()), float(annual.max())
    return Figures(
        ale=min(high, max(low, float(annual.mean()))),
        p5=p5,
        p50=p50,
        p95=p95,
        es95=min(high, max(p95, tail_mean(annual))),
        probability_of_loss=float((annual > 0).mean()),
        standard_error=float(annual.std(ddof=1) / np.sqrt(len(annual))),
    )


def tail_mean(annual: Floats, one_in: int = 20) -> float:
    """The mean of the worst 1/`one_in` of the years: the expected shortfall (Acerbi and Tasche, 2002).

    Exactly that share counts, the last year in part if need be. A mean over "the years at or beyond the quantile" would
    count every year where the quantile is 0, and give the mean of all for a rare event.
    """
    whole, part = divmod(len(annual), one_in)
    worst = np.sort(np.partition(annual, len(annual) - whole - 1)[len(annual) - whole - 1 :])
    return float((worst[1:].sum() + worst[0] * part / one_in) / (whole + part / one_in))


def seed_of(run_id: str, step: str) -> int:
    """A seed that is the same at every attempt of a run's step; below 2^53, so that JSON carries it unharmed."""
    digest = hashlib.sha256(f"{run_id}:{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def rate_from_history(events: int, years: float) -> Pert:
    """The rate of events per year after `events` in `years`: n/T, within Garwood's 90 % interval for a Poisson mean.

    The chi-square quantiles of the interval are Wilson and Hilferty's approximation (within 1 % from two events on).
    """
    z = 1.6448536269514722
    low = 0.0 if events == 0 else events * (1 - 1 / (9 * events) - z / (3 * events**0.5)) ** 3
    above = events + 1
    high = above * (1 - 1 / (9 * above) + z / (3 * above**0.5)) ** 3
    return Pert(max(0.0, low) / years, events / years, high / years)
