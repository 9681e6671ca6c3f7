"""The loss simulation against closed form, and its inputs."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workflows.library.prism.contract import QuantifyInput
from workflows.library.prism.data import Factor
from workflows.library.prism.ranges import NoBasis, components_of, frequency_of
from workflows.library.prism.simulation import (
    Component,
    Model,
    Pert,
    TooManyEvents,
    figures,
    rate_from_history,
    seed_of,
    simulate,
)

MODELS = [
    Model(Pert(0.2, 0.5, 1.4), (Component(Pert(1e4, 9e4, 5e5)),)),
    Model(Pert(3, 8, 30), (Component(Pert(0, 10, 400)), Component(Pert(5, 5, 5), 0.3))),
    Model(Pert(10, 12, 20), (Component(Pert(1, 2, 9), 0.5),), vulnerability=Pert(0.05, 0.2, 0.6)),
]


@pytest.mark.parametrize("model", MODELS)
def test_mean_and_variance_are_those_of_the_closed_form(model: Model) -> None:
    n = 200_000
    annual = simulate(model, n, seed=7).annual
    # Five standard errors: one false alarm in two million, and the seed is fixed.
    assert abs(annual.mean() - model.annual_mean) < 5 * np.sqrt(model.annual_variance / n)
    centred = (annual - annual.mean()) ** 2
    assert abs(centred.mean() - model.annual_variance) < 5 * centred.std() / np.sqrt(n)


@pytest.mark.parametrize("model", MODELS)
def test_single_events_have_the_mean_of_their_components(model: Model) -> None:
    n = 200_000
    single = simulate(model, n, seed=11).single
    assert abs(single.mean() - model.event_mean) < 5 * np.sqrt(model.event_variance / n)


def test_pert_draws_lie_in_the_range_and_have_its_moments() -> None:
    pert = Pert(2, 3, 9)
    drawn = pert.draw(np.random.Generator(np.random.PCG64(1)), 200_000)
    assert drawn.min() >= 2
    assert drawn.max() <= 9
    assert abs(drawn.mean() - pert.mean) < 5 * np.sqrt(pert.variance / 200_000)
    assert drawn.var() == pytest.approx(pert.variance, rel=0.02)


def test_the_same_seed_gives_the_same_years_and_another_seed_others() -> None:
    a, b, c = (simulate(MODELS[0], 5_000, seed) for seed in (1, 1, 2))
    assert np.array_equal(a.annual, b.annual)
    assert np.array_equal(a.single, b.single)
    assert not np.array_equal(a.annual, c.annual)


def test_drawing_in_chunks_loses_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    # A loss of exactly 1 an event makes a year's loss its number of events.
    model = Model(Pert(0, 4, 20), (Component(Pert(1, 1, 1)),))
    whole = simulate(model, 3_000, seed=5).annual
    monkeypatch.setattr("workflows.library.prism.simulation.CHUNK_EVENTS", 7)
    assert np.array_equal(simulate(model, 3_000, seed=5).annual, whole)


def test_figures_of_known_years() -> None:
    found = figures(np.arange(0.0, 101.0))
    assert (found.ale, found.p5, found.p50, found.p95) == (50, 5, 50, 95)
    # The worst 5.05 of 101 years: 96 to 100, and a twentieth of the year with 95.
    assert found.es95 == pytest.approx((96 + 97 + 98 + 99 + 100 + 0.05 * 95) / 5.05)
    assert found.probability_of_loss == pytest.approx(100 / 101)
    assert found.standard_error == pytest.approx(np.std(np.arange(101), ddof=1) / np.sqrt(101))


def test_the_expected_shortfall_of_a_rare_loss_is_not_the_mean_of_all_years() -> None:
    model = Model(Pert(0.01, 0.02, 0.03), (Component(Pert(1e6, 2e6, 9e6)),))
    found = figures(simulate(model, 100_000, seed=7).annual)
    assert (found.p50, found.p95) == (0, 0)
    assert found.es95 == pytest.approx(1_190_930, abs=0.5)
    # All that is lost is lost in the worst 5 % of years here.
    assert found.es95 == pytest.approx(20 * found.ale)


LOSSES = st.lists(
    st.one_of(st.just(0.0), st.sampled_from([0.1, 1e6, 1e15 / 3]), st.floats(0, 1e15)), min_size=20, max_size=400
)


@given(LOSSES)
def test_every_figure_lies_where_its_name_says_whatever_the_ties(years: list[float]) -> None:
    found = figures(np.array(years))
    assert min(years) <= found.p5 <= found.p50 <= found.p95 <= found.es95 <= max(years)
    assert found.ale <= found.es95 * (1 + 1e-9)
    for share, quantile in ((0.05, found.p5), (0.5, found.p50), (0.95, found.p95)):
        # The least loss that was seen and is not exceeded in that share of the years.
        assert quantile in years
        assert sum(year <= quantile for year in years) >= share * len(years) - 1e-9
        assert sum(year < quantile for year in years) < share * len(years) + 1e-9
    ordered = sorted(years, reverse=True)
    whole, part = divmod(len(years), 20)
    expected = (sum(ordered[:whole]) + ordered[whole] * part / 20) / (len(years) / 20)
    assert found.es95 == pytest.approx(expected, rel=1e-9)


@given(st.floats(0, 1e15), st.integers(20, 3000))
def test_a_constant_loss_is_every_one_of_its_figures(loss: float, years: int) -> None:
    found = figures(np.full(years, loss))
    assert {found.ale, found.p5, found.p50, found.p95, found.es95} == {loss}
    assert found.standard_error <= loss * 1e-12
    assert found.probability_of_loss == (loss > 0)


def test_a_loss_that_no_simulated_year_had_has_not_converged() -> None:
    model = Model(Pert(1e-7, 1e-7, 1e-7), (Component(Pert(1e6, 1e6, 1e6)),))
    found = figures(simulate(model, 1_000, seed=1).annual)
    assert (found.ale, found.standard_error) == (0, 0)
    assert found.relative_error(model.annual_mean, model.annual_variance**0.5, 1_000) > 1
    # Without any loss there is nothing to be wrong about.
    nothing = Model(Pert(0, 0, 0), (Component(Pert(1, 1, 1)),))
    assert found.relative_error(nothing.annual_mean, nothing.annual_variance**0.5, 1_000) == 0


def test_the_error_shrinks_with_the_square_root_of_the_iterations() -> None:
    few, many = (figures(simulate(MODELS[0], n, 3).annual).standard_error for n in (2_000, 200_000))
    assert few / many == pytest.approx(10, rel=0.15)


def test_a_simulation_that_would_take_for_ever_is_refused() -> None:
    with pytest.raises(TooManyEvents, match="lower the frequency"):
        simulate(Model(Pert(1e9, 1e9, 1e9), (Component(Pert(1, 1, 1)),)), 1_000, 1)


@given(st.integers(0, 60), st.floats(0.5, 30))
def test_a_rate_from_history_is_in_order_around_the_observed_one(events: int, years: float) -> None:
    rate = rate_from_history(events, years)
    assert 0 <= rate.low <= rate.mode <= rate.high
    assert rate.mode == pytest.approx(events / years)


@pytest.mark.parametrize(
    # Garwood's 90 % limits from tables of the chi-square distribution.
    ("events", "low", "high"),
    [(0, 0.0, 2.996), (3, 0.818, 7.754), (10, 5.425, 16.96), (20, 13.25, 29.06)],
)
def test_a_rate_from_history_has_garwoods_limits(events: int, low: float, high: float) -> None:
    rate = rate_from_history(events, 1.0)
    assert rate.low == pytest.approx(low, rel=0.01)
    assert rate.high == pytest.approx(high, rel=0.01)


def test_a_seed_follows_from_the_run_and_survives_json() -> None:
    assert seed_of("run", "quantify") == seed_of("run", "quantify") != seed_of("run2", "quantify")
    assert all(0 <= seed_of(str(n), "s") < 2**53 for n in range(200))


def factor(**fields: Any) -> Factor:
    base: dict[str, Any] = {
        "code": "c",
        "name": "n",
        "per_record": False,
        "low": 1.0,
        "mode": 2.0,
        "high": 3.0,
        "probability": 1.0,
        "cap": None,
        "incident_types": frozenset(),
        "data_categories": frozenset(),
    }
    return Factor(**(base | fields))


def test_losses_are_scaled_by_records_capped_and_chosen_by_type_and_data() -> None:
    factors = [
        factor(name="event"),
        factor(name="records", per_record=True, cap=250.0),
        factor(name="other type", incident_types=frozenset(["ransomware"])),
        factor(name="other data", data_categories=frozenset(["payment_card"])),
    ]
    data = QuantifyInput(incident_type="data theft", data_categories=["health"], affected_records=100)
    found, basis = components_of(data, factors, [])
    assert [(one.name, one.low, one.mode, one.high) for one in found] == [
        ("event", 1, 2, 3),
        ("records", 100, 200, 250),
    ]
    assert "2 loss factors" in basis


def test_losses_from_history_keep_the_least_the_greatest_and_the_mean() -> None:
    data = QuantifyInput(magnitude_from="history", incident_type="a")
    found, _ = components_of(data, [], [("a", 10.0), ("a", 20.0), ("a", 60.0), ("b", 999.0)])
    assert (found[0].low, found[0].high) == (10, 60)
    assert (found[0].low + 4 * found[0].mode + found[0].high) / 6 == pytest.approx(30)
    with pytest.raises(NoBasis, match="too few"):
        components_of(data, [], [("a", 1.0)])


def test_the_frequency_counts_the_past_incidents_of_the_type() -> None:
    past = [("a", date(2022, 1, 1)), ("a", date(2024, 1, 1)), ("b", date(2024, 1, 1)), ("a", date(2019, 1, 1))]
    rate, basis = frequency_of(QuantifyInput(incident_type="a"), past, date(2020, 1, 1), date(2026, 1, 1))
    assert rate.mode == pytest.approx(2 / 6, rel=0.01)
    assert basis.startswith("frequency: 2 a incidents in 6.0 years")
    with pytest.raises(NoBasis, match="give frequency"):
        frequency_of(QuantifyInput(), past, None, date(2026, 1, 1))


@pytest.mark.parametrize(
    "bad",
    [
        {"frequency": {"low": 3, "mode": 2, "high": 4}},
        {"frequency": {"low": -1, "mode": 2, "high": 4}},
        {"frequency": {"low": 0, "mode": 1, "high": float("inf")}},
        {"vulnerability": {"low": 0, "mode": 1, "high": 2}},
        {"magnitude": {"low": 0, "mode": 1, "high": 2}, "components": [{"name": "x", "low": 0, "mode": 1, "high": 2}]},
        {"iterations": 10},
        {"seed": 2**53},
        {"seeds": 1},
    ],
)
def test_ranges_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QuantifyInput(**bad)


@settings(max_examples=30)
@given(
    st.lists(st.floats(0, 1e6), min_size=3, max_size=3),
    st.lists(st.floats(0, 40), min_size=3, max_size=3),
    st.integers(0, 2**53 - 1),
)
def test_percentiles_are_in_order_whatever_the_ranges(loss: list[float], rate: list[float], seed: int) -> None:
    model = Model(Pert(*sorted(rate)), (Component(Pert(*sorted(loss))),))
    found = figures(simulate(model, 1_000, seed).annual)
    assert 0 <= found.p5 <= found.p50 <= found.p95 <= found.es95
