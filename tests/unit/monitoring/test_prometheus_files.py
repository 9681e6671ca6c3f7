"""The files for Prometheus, Alertmanager and Grafana: made from the rules, true to what is exposed, and read by their
programs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from erip.foundation import hooks
from monitoring.alerting import shipped
from monitoring.core.catalog import MEANINGS
from monitoring.core.exposition import described
from monitoring.core.promql import expression, inhibit_rules, rule_file
from monitoring.core.rules import read_rule
from monitoring.exporting import alertmanager, prometheus_rules
from tests.support.prometheus import run

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
DASHBOARDS = sorted((FOLDER / "grafana").glob("*.json"))
METRIC = re.compile(r"\berip_[a-z0-9_]+")


def exposed() -> set[str]:
    """The names of all series that `GET /metrics` can show."""
    found = set()
    for name, about in described(hooks.metrics.all(), MEANINGS).items():
        if about.type == "histogram":
            found |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        else:
            found.add(f"{name}_total" if about.type == "counter" else name)
    return found


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text("utf-8")) for path in DASHBOARDS}


def expressions(panels: Any) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", [])] + [
        expr for panel in panels for expr in expressions(panel.get("panels", []))
    ]


def test_the_files_are_those_that_the_rules_make() -> None:
    assert (FOLDER / "rules.yml").read_text("utf-8") == prometheus_rules()
    assert (FOLDER / "alertmanager.yml").read_text("utf-8") == alertmanager()


def test_every_metric_that_the_files_name_is_exposed() -> None:
    known = exposed()
    assert len(known) > 80
    rules = yaml.safe_load(prometheus_rules())["groups"][0]["rules"]
    for rule in rules:
        assert set(METRIC.findall(rule["expr"])) <= known, rule["alert"]
    assert {one["alert"] for one in rules} == {*shipped(), "erip-not-seen"}
    for name, dashboard in dashboards().items():
        for expr in expressions(dashboard["panels"]):
            named = set(METRIC.findall(expr))
            assert named, f"{name}: {expr} is about nothing of ours"
            assert named <= known, f"{name}: {named - known} is not exposed"


def test_dashboards_can_be_imported_and_say_what_they_show() -> None:
    found = dashboards()
    assert len(found) >= 2
    assert len({one["uid"] for one in found.values()}) == len(found)
    for name, dashboard in found.items():
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]), name
        for panel in panels:
            assert panel["title"], name
            assert panel["description"], f"{name}: {panel['title']} does not say what it shows"
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, "no data source of ours"
            assert panel["fieldConfig"]["defaults"]["unit"], f"{name}: {panel['title']} has no unit"
        # Nothing lies upon anything else, or outside of the 24 columns.
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, f"{name}: {panel['title']}"
            assert place["x"] + place["w"] <= 24
            taken |= cells


def test_promtool_and_amtool_read_them(tmp_path: Path) -> None:
    """Every expression of the dashboards, too: as recording rules."""
    recorded = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(expr for one in dashboards().values() for expr in expressions(one["panels"]))
    ]
    assert len(recorded) > 20
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    for name in ("rules.yml", "prometheus.yml"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "erip.key").touch()

    run("promtool", "check", "rules", tmp_path / "rules.yml", tmp_path / "panels.yml")
    run("promtool", "check", "config", tmp_path / "prometheus.yml")
    run("amtool", "check-config", FOLDER / "alertmanager.yml")


def test_whatever_a_rule_says_promtool_can_read(tmp_path: Path) -> None:
    odd = {
        "name": "odd", "summary": 'A "quoted" {{ summary', "severity": "ticket", "metric": "erip_x_total",
        "where": {"a": 'q"\\\n{}', "b": ""}, "by": ["c", "d"], "divide_by": {"metric": "erip_y"},
        "below": -1e-9, "for": "90s", "keep_firing_for": "1d",
    }  # fmt: skip
    rule = read_rule(odd)
    assert expression(rule) == (
        'sum by (c, d) (rate(erip_x_total{a="q\\"\\\\\\n{}", b=""}[40s])) / (sum by (c, d) (erip_y) != 0) < -1e-09'
    )
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule_file([rule])))
    run("promtool", "check", "rules", tmp_path / "rules.yml")


def test_a_ticket_keeps_no_page_back() -> None:
    severities = {name: rule.severity for name, rule in shipped().items()}
    found = inhibit_rules(shipped().values())
    assert found
    for one in found:
        targets = re.findall(r"[a-z-]+", one["target_matchers"][0].partition("~")[2])
        if "ticket" in one["source_matchers"][1]:
            assert {severities[name] for name in targets} == {"ticket"}


@pytest.mark.parametrize("component", ["postgresql", "redis"])
def test_what_a_cause_explains_is_named(component: str) -> None:
    sources = [one for one in inhibit_rules(shipped().values()) if f'component="{component}"' in one["source_matchers"]]
    explained = " ".join(matcher for one in sources for matcher in one["target_matchers"])
    assert "worker-silent" in explained
    assert f"{component}-down" not in explained
