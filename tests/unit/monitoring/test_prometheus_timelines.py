"""The shipped rules fire in Prometheus at the same ticks as in PULSE: `promtool test rules` is asked about timelines of
which PULSE has judged every tick."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from monitoring.alerting import judge_all, shipped
from monitoring.core.alerts import Alert, Stage, indexed
from monitoring.core.frames import TICK
from monitoring.core.promql import UNSEEN, alerting_rule, rule_file
from monitoring.core.rules import Rule, Selector, read_rule
from monitoring.core.series import Series, series
from tests.support.prometheus import run

TICKS = 60
#: series → its value at each tick
Timeline = dict[Series, list[float]]


def level(rule: Rule, held: bool, rng: random.Random) -> float:
    """A value with which the condition holds or not; sometimes the bound itself, with which it never does."""
    bound = rule.above if rule.above is not None else (rule.below or 0.0)
    if not held and rng.random() < 0.2:
        return bound
    return bound + (1.0 if held == (rule.above is not None) else -1.0) * rng.choice([0.125, 1.0, 64.0])


def spells(rng: random.Random) -> list[bool]:
    """Whether the condition holds at each tick, in spells of very different lengths."""
    found: list[bool] = []
    while len(found) < TICKS:
        found += [rng.random() < 0.5] * rng.choice([1, 1, 2, 3, 4, 7, 13, 20])
    return found[:TICKS]


def timeline(rule: Rule, rng: random.Random) -> Timeline:
    """Values for each group of a rule, over several series, beside series that are not meant."""
    groups = [{name: f"{name}-{number}" for name in rule.by} for number in range(2 if rule.by else 1)]
    found: Timeline = {}
    for group in groups:
        wanted = [level(rule, held, rng) for held in spells(rng)]
        divisor = [1.0] * TICKS
        if rule.divide_by is not None:
            divisor = [rng.choice([1.0, 2.0, 64.0]) for _ in range(TICKS)]
            put(found, rule.divide_by, group, divisor, rng)
        put(found, rule.selectors[0], group, [value * by for value, by in zip(wanted, divisor, strict=True)], rng)
    if rule.where:
        found[series(rule.metric, **dict.fromkeys(rule.where, "not-meant"))] = [1e6 * (-1) ** n for n in range(TICKS)]
    return found


def put(found: Timeline, one: Selector, group: dict[str, str], values: Sequence[float], rng: random.Random) -> None:
    """The values as a sum of two series."""
    share = [rng.choice([0.0, 0.25, 1.0, 2.0]) * value for value in values]
    found[series(one.metric, **{**one.where, **group, "part": "a"})] = share
    found[series(one.metric, **{**one.where, **group, "part": "b"})] = [
        value - part for value, part in zip(values, share, strict=True)
    ]


def firing(rules: dict[str, Rule], values: Timeline) -> list[set[tuple[str, tuple[tuple[str, str], ...]]]]:
    """What fires at each tick, by PULSE."""
    found = []
    alerts: list[Alert] = []
    for tick in range(TICKS):
        frame = indexed({one: each[tick] for one, each in values.items()})
        after, _ = judge_all(rules, frame, alerts, {}, float(tick * TICK))
        alerts = [alert for alert in after if alert.stage is not Stage.RESOLVED]
        found.append({alert.key for alert in alerts if alert.stage is Stage.FIRING})
    return found


def asked(rules: dict[str, Rule], values: Timeline) -> dict[str, Any]:
    """The same as a question to promtool: exactly these alerts at each tick."""
    expected = firing(rules, values)
    tests = []
    for name, rule in rules.items():
        written = alerting_rule(rule)
        for tick in range(TICKS):
            alerts = [
                {"exp_labels": {**dict(labels), **written["labels"]}, "exp_annotations": written["annotations"]}
                for which, labels in sorted(expected[tick])
                if which == name
            ]
            tests.append({"eval_time": f"{tick * TICK}s", "alertname": name, "exp_alerts": alerts})
    return {
        "input_series": [
            {"series": str(one), "values": " ".join(f"{value!r}" for value in each)} for one, each in values.items()
        ],
        "alert_rule_test": tests,
    }


def ask(tmp_path: Path, *questions: tuple[dict[str, Rule], dict[str, Any]]) -> None:
    """Each with the rules that it is about, and no others: promtool evaluates all that it is given."""
    files = []
    for number, (rules, test) in enumerate(questions):
        # JSON is YAML, and is written much faster.
        (tmp_path / f"rules{number}.yml").write_text(json.dumps(rule_file(rules.values())))
        question = {
            "rule_files": [f"rules{number}.yml"],
            "evaluation_interval": f"{TICK}s",
            "tests": [{"interval": f"{TICK}s", **test}],
        }
        files.append(tmp_path / f"tests{number}.yml")
        files[-1].write_text(json.dumps(question))
    run("promtool", "test", "rules", *files)


def test_each_shipped_rule_fires_at_the_same_ticks(tmp_path: Path) -> None:
    rng = random.Random(20261126)
    rules = {name: rule for name, rule in shipped().items() if not rule.metric.endswith("_total")}
    assert len(rules) >= 15
    tests, fired = [], set()
    for name, rule in rules.items():
        # A rule that waits for long must have the time to fire.
        values = timeline(rule, rng)
        if rule.waits >= 60:
            for one in values:
                values[one][20:40] = [values[one][20]] * 20
        tests.append(({name: rule}, asked({name: rule}, values)))
        fired |= {key[0] for each in firing({name: rule}, values) for key in each}
    # Nothing is compared where nothing fires.
    assert len(fired) >= len(rules) - 3
    ask(tmp_path, *tests)


def test_rules_of_any_kind_fire_at_the_same_ticks(tmp_path: Path) -> None:
    rng = random.Random(11)
    tests = []
    for number in range(20):
        bound = rng.choice(["above", "below"])
        document = {
            "name": f"r{number}", "summary": "x", "severity": "ticket", "metric": f"erip_m{number}",
            "where": rng.choice([{}, {"lane": "critical"}]), "by": rng.choice([[], ["who"], ["who", "how"]]),
            bound: rng.choice([0.0, 0.25, 2.0, -4.0, 600.0]),
            "for": rng.choice(["0s", "5s", "10s", "30s", "1m"]),
            "keep_firing_for": rng.choice(["0s", "5s", "10s", "15s", "1m", "2m"]),
        }  # fmt: skip
        if rng.random() < 0.4:
            document["divide_by"] = {"metric": f"erip_d{number}"}
        rule = read_rule(document)
        tests.append(({rule.name: rule}, asked({rule.name: rule}, timeline(rule, rng))))
    assert sum(len(one["exp_alerts"]) for _, test in tests for one in test["alert_rule_test"]) > 200
    ask(tmp_path, *tests)


def test_nothing_of_nothing_is_no_share(tmp_path: Path) -> None:
    rules = {"connections-nearly-full": shipped()["connections-nearly-full"]}
    one, limit = Series("erip_postgresql_connections"), Series("erip_postgresql_connections_limit")
    values = {one: [5.0] * TICKS, limit: [0.0] * 20 + [5.0] * (TICKS - 20)}
    assert firing(rules, values)[-1]
    ask(tmp_path, (rules, asked(rules, values)))


def test_a_counter_that_rises_fires_in_both(tmp_path: Path) -> None:
    """Its rate is over 40 s in Prometheus and over a tick in PULSE: it fires as soon, and ends later."""
    rule = shipped()["redis-flushed"]
    written = alerting_rule(rule)
    fires = {"exp_labels": written["labels"], "exp_annotations": written["annotations"]}
    times = {"90s": [], "100s": [fires], "140s": [fires], "180s": [fires], "190s": [], "300s": []}
    test = {
        "input_series": [{"series": "erip_redis_flushes_total", "values": "0x9 1x40"}],
        "alert_rule_test": [
            {"eval_time": time, "alertname": rule.name, "exp_alerts": alerts} for time, alerts in times.items()
        ],
    }
    ask(tmp_path, ({rule.name: rule}, test))


@pytest.mark.parametrize(
    ("values", "fires"), [("0x60", False), ("0x9 1x50", True), ("0x9 _x50", True)], ids=["seen", "stale", "absent"]
)
def test_prometheus_says_when_it_sees_nothing(tmp_path: Path, values: str, fires: bool) -> None:
    alert = {"exp_labels": UNSEEN["labels"], "exp_annotations": UNSEEN["annotations"]}
    test = {
        "input_series": [{"series": "erip_pulse_stale", "values": values}],
        "alert_rule_test": [
            {"eval_time": "550s", "alertname": UNSEEN["alert"], "exp_alerts": [alert] if fires else []}
        ],
    }
    ask(tmp_path, ({}, test))
