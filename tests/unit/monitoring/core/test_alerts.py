"""Alerts over time: what is judged, and what is announced of it. Every sequence of values is a possible one."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from erip.ops.stack.state import ROOT
from monitoring.alerting import as_stored, judge_all, shipped
from monitoring.core.alerts import FLOOD, Alert, Announcement, Silence, Stage, announcements, indexed, values_of
from monitoring.core.catalog import MEANINGS
from monitoring.core.rules import BadRules, Rule, read_rule, read_rules
from monitoring.core.series import series
from monitoring.error_counters import REGISTRY
from monitoring.messages import message_id

PLAIN = {"name": "late", "summary": "Late", "severity": "page", "metric": "erip_x", "above": 5}


def rule(**changes: Any) -> Rule:
    return read_rule({**PLAIN, **changes})


class Timeline:
    """What a live evaluation does, tick by tick, without a database."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = {one.name: one for one in rules}
        self.alerts: dict[Any, Alert] = {}
        self.serials: dict[Any, int] = {}
        self.silences: list[Silence] = []
        self.now = 0.0
        self.sent: list[tuple[float, Announcement]] = []

    def tick(self, *, seconds: float = 10.0, lately: int = 0, **values: float | None) -> list[Announcement]:
        """values: of the metric `erip_<name>`."""
        self.now += seconds
        frame = indexed({series(f"erip_{name}"): value for name, value in values.items()})
        open_ = [one for one in self.alerts.values() if one.stage is not Stage.RESOLVED]
        after, forgotten = judge_all(self.rules, frame, open_, self.serials, self.now)
        ended = [one for one in self.alerts.values() if one.stage is Stage.RESOLVED and one.announced is Stage.FIRING]
        said = announcements([*after, *ended], self.rules, self.silences, self.now, sent_lately=lately)
        for key in forgotten:
            self.alerts.pop(key, None)
        for one in after:
            self.alerts[one.key] = one
            self.serials[one.key] = one.serial
        for each in said:
            self.sent.append((self.now, each))
            for one in each.alerts:
                self.alerts[one.key] = Alert(**{**_fields(one), "announced": one.stage})
        return said

    def stages(self) -> list[str]:
        return [str(alert.stage) for _, each in self.sent for alert in each.alerts]


def _fields(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in Alert.__slots__}


def test_a_peak_that_is_shorter_than_for_is_no_alert() -> None:
    line = Timeline(rule(**{"for": "20s"}))
    for value in (9.0, 9.0, 1.0, 9.0, 1.0):
        assert line.tick(x=value) == []
    assert line.alerts == {}


def test_a_value_that_swings_around_the_bound_alerts_once() -> None:
    line = Timeline(rule(keep_firing_for="30s"))
    for value in (9.0, 9.0, 1.0, 9.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0, 1.0):
        line.tick(x=value)
    assert line.stages() == ["firing", "resolved"]


def test_unknown_is_not_no() -> None:
    line = Timeline(rule(keep_firing_for="10s"))
    line.tick(x=9.0)
    for _ in range(20):
        line.tick(x=None)
    (alert,) = line.alerts.values()
    assert (alert.stage, alert.unknown) == (Stage.FIRING, True)
    assert line.stages() == ["firing"]

    empty = Timeline(rule())
    assert empty.tick(x=None) == []
    assert empty.tick() == []
    assert empty.alerts == {}


def test_the_next_alert_has_the_next_number_and_another_message() -> None:
    line = Timeline(rule(keep_firing_for="0s"))
    for value in (9.0, 9.0, 1.0, 9.0, 9.0, 1.0):
        line.tick(x=value)
    assert line.stages() == ["firing", "resolved", "firing", "resolved"]
    assert len({message_id(each) for _, each in line.sent}) == 4


def test_a_silence_stops_messages_and_nothing_else_and_its_end_is_not_the_alerts() -> None:
    line = Timeline(rule(keep_firing_for="10s"))
    line.silences = [Silence("late", {}, ends=100.0)]
    for _ in range(9):
        assert line.tick(x=9.0) == []
    assert [one.stage for one in line.alerts.values()] == [Stage.FIRING]
    assert len(line.tick(x=9.0)) == 1, "it still fires when the silence ends"
    # Silenced again while it is announced: its end is announced all the same.
    line.silences = [Silence("", {"rule": "late"}, ends=1e9)]
    for _ in range(3):
        line.tick(x=1.0)
    assert line.stages() == ["firing", "resolved"]


def test_a_cause_keeps_back_what_it_explains_from_its_first_moment_until_it_is_gone() -> None:
    cause = rule(name="postgresql-down", metric="erip_db", component="postgresql", **{"for": "20s"})
    symptom = rule(name="no-worker", metric="erip_worker", component="worker")
    line = Timeline(cause, symptom)

    line.tick(db=9.0, worker=9.0)
    assert line.sent == [], "the cause is about to fire"
    for _ in range(3):
        line.tick(db=9.0, worker=9.0)
    assert [each.cause for _, each in line.sent] == ["postgresql"]
    for _ in range(8):
        line.tick(db=1.0, worker=9.0)
    assert [each.cause for _, each in line.sent] == ["postgresql", "postgresql", "worker"], "it outlasted its cause"


def test_a_ticket_keeps_no_page_back() -> None:
    line = Timeline(
        rule(name="redis-down", metric="erip_redis", component="redis", severity="ticket"),
        rule(name="no-worker", metric="erip_worker", component="worker"),
    )
    line.tick(redis=9.0, worker=9.0)
    assert sorted(each.cause for _, each in line.sent) == ["redis", "worker"]


def test_alerts_of_one_component_are_one_message() -> None:
    line = Timeline(*(rule(name=f"disk-{n}", component="disk") for n in range(5)))
    (said,) = line.tick(x=9.0)
    assert (said.cause, len(said.alerts)) == ("disk", 5)


def test_a_flood_is_announced_together_when_there_is_room() -> None:
    line = Timeline(*(rule(name=f"rule-{n}") for n in range(30)))
    said = line.tick(x=9.0)
    assert len(said) == FLOOD
    assert sum(len(each.alerts) for each in said) == 30

    waiting = Timeline(*(rule(name=f"rule-{n}") for n in range(30)))
    assert waiting.tick(x=9.0, lately=FLOOD) == []
    assert sum(len(each.alerts) for each in waiting.tick(x=9.0, lately=FLOOD - 1)) == 30


values = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 4.9, 5.1, 100.0])), max_size=60)


@given(values, st.sampled_from(["0s", "10s", "35s"]), st.sampled_from(["0s", "10s", "45s"]))
def test_whatever_happens_receivers_hear_of_firing_and_resolved_in_turns(
    found: list[float | None], waits: str, keeps: str
) -> None:
    one = rule(**{"for": waits, "keep_firing_for": keeps})
    line = Timeline(one)
    for value in found:
        line.tick(x=value)
    heard = line.stages()
    assert heard == [("firing", "resolved")[n % 2] for n in range(len(heard))]
    firing = [alert for alert in line.alerts.values() if alert.stage is Stage.FIRING]
    assert len(heard) % 2 == len(firing)


@given(values, st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), max_size=4))
def test_silences_never_change_what_is_judged(found: list[float | None], spans: list[tuple[int, int]]) -> None:
    plain, silenced = Timeline(rule()), Timeline(rule())
    for value in found:
        silenced.silences = [Silence("late", {}, float(end)) for begin, end in spans if begin <= silenced.now]
        plain.tick(x=value)
        silenced.tick(x=value)
        assert {k: (a.stage, a.since, a.serial) for k, a in plain.alerts.items()} == {
            k: (a.stage, a.since, a.serial) for k, a in silenced.alerts.items()
        }


def test_values_are_added_up_by_label_and_shares_of_nothing_are_unknown() -> None:
    frame = indexed(
        {
            series("erip_used", db="a", host="1"): 3.0,
            series("erip_used", db="a", host="2"): None,
            series("erip_used", db="b"): 5.0,
            series("erip_all", db="a"): 4.0,
            series("erip_all", db="b"): 0.0,
        }
    )
    used = rule(metric="erip_used", by=["db"], divide_by={"metric": "erip_all"})
    assert values_of(used, frame) == {(("db", "a"),): 0.75, (("db", "b"),): None}
    assert values_of(rule(metric="erip_used", where={"db": "b"}), frame) == {(): 5.0}


def test_every_fault_of_every_rule_is_named_at_once() -> None:
    with pytest.raises(BadRules) as caught:
        read_rules(
            {
                "rules": [
                    {**PLAIN, "for": "soon", "componont": "redis", "by": ["a-b"]},
                    {**PLAIN, "below": 1, "severity": "loud"},
                    {**PLAIN, "above": float("nan"), "component": "moon"},
                    "late",
                ],
                "more": 1,
            }
        )
    paths = [fault.path for fault in caught.value.faults]
    assert {"more", "rules[0].for", "rules[0].componont", "rules[0].by[0]", "rules[1].severity"} <= set(paths)
    assert {"rules[2].above", "rules[2].component", "rules[3]"} <= set(paths)
    with pytest.raises(BadRules, match="either `above` or `below`"):
        read_rule({**PLAIN, "below": 1})


documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PLAIN, "by", "where", "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(documents)
def test_no_document_breaks_the_reader(document: Any) -> None:
    try:
        read_rules({"rules": [document]})
    except BadRules as error:
        faults = error.faults
    else:
        faults = []
    assert faults or read_rule(document)


def test_a_rule_is_read_back_as_it_was_written() -> None:
    for one in shipped().values():
        assert read_rule(one.document()) == one


def test_shipped_rules_use_metrics_that_there_are_and_have_a_runbook() -> None:
    counted = {f"{family.name}_total" for family in REGISTRY.collect() if family.type == "counter"}
    for one in shipped().values():
        assert {selector.metric for selector in one.selectors} <= MEANINGS.keys() | counted
        assert one.runbook is not None
        page = ROOT / "docs" / "how-to" / "runbooks" / f"{one.runbook}.md"
        assert "## What to do" in page.read_text("utf-8"), one.name
    pages = {path.stem for path in (ROOT / "docs" / "how-to" / "runbooks").glob("*.md")}
    assert pages == {one.runbook for one in shipped().values()}
    assert yaml.safe_load(Path(ROOT / "monitoring" / "rules.yaml").read_text("utf-8")).keys() == {"rules"}


@given(st.floats(-3e38, 3e38))
def test_a_value_is_judged_as_a_frame_gives_it_back(value: float) -> None:
    once = as_stored(value)
    assert as_stored(once) == once
