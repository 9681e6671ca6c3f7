"""Rules in the language of Prometheus, and what inhibits what in that of Alertmanager.

A rule means the same in both, with these differences: Prometheus has no "unknown", so an alert whose series is absent
ends after `keep_firing_for`, where PULSE keeps it; a counter's rate is taken over RATE_OVER, where PULSE takes it over
a tick; and in Alertmanager what is only pending inhibits nothing yet.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from monitoring.core.components import NEEDS, dependents
from monitoring.core.frames import TICK
from monitoring.core.rules import Rule, Selector

#: at least four scrapes every ten seconds: one that fails leaves enough
RATE_OVER = "40s"


def expression(rule: Rule) -> str:
    """The condition of a rule, as PromQL."""
    value = _sum(rule.selectors[0], rule.by)
    if rule.divide_by is not None:
        # Nothing of nothing is no share: PULSE calls it unknown.
        value = f"{value} / ({_sum(rule.divide_by, rule.by)} != 0)"
    bound, sign = (rule.above, ">") if rule.above is not None else (rule.below, "<")
    return f"{value} {sign} {_number(bound or 0.0)}"


def alerting_rule(rule: Rule) -> dict[str, Any]:
    """A rule as it stands in a rule file of Prometheus."""
    found: dict[str, Any] = {"alert": rule.name, "expr": expression(rule)}
    if rule.waits:
        found["for"] = _seconds(rule.waits)
    # Prometheus counts from the evaluation after the last one at which the condition held.
    if rule.keeps > TICK:
        found["keep_firing_for"] = _seconds(rule.keeps - TICK)
    labels = {"severity": rule.severity, "cause": cause_of(rule)}
    if rule.component is not None:
        labels["component"] = rule.component
    found["labels"] = labels
    found["annotations"] = {"summary": _plain(rule.summary)}
    if rule.runbook:
        found["annotations"]["runbook"] = _plain(rule.runbook)
    return found


def rule_file(rules: Iterable[Rule]) -> dict[str, Any]:
    """A rule file of Prometheus (2.42 or newer). Judged as often as PULSE judges."""
    listed = [*map(alerting_rule, rules), UNSEEN]
    return {"groups": [{"name": "erip", "interval": f"{TICK}s", "rules": listed}]}


#: While PostgreSQL is away no series says so: PULSE then judges what it sees itself, and Prometheus sees nothing.
UNSEEN: Mapping[str, Any] = {
    "alert": "erip-not-seen",
    "expr": "max(erip_pulse_stale) > 0 or absent(erip_pulse_stale)",
    "for": "1m",
    "labels": {"severity": "page", "cause": "erip"},
    "annotations": {
        "summary": "Nothing is known of ERIP: PostgreSQL is away, no leader runs, or no web process answers",
        "runbook": "no-process",
    },
}


def inhibit_rules(rules: Iterable[Rule]) -> list[dict[str, list[str]]]:
    """What inhibits what (Alertmanager 0.22 or newer): a cause keeps back what it explains, but no ticket keeps a page
    back."""
    listed = list(rules)
    found = []
    for component in NEEDS:
        explained = {
            severity: [
                rule.name
                for rule in listed
                if rule.severity == severity
                and (component in rule.depends or (rule.component or "") in dependents(component, NEEDS))
            ]
            for severity in ("page", "ticket")
        }
        for sources, severity in ((["page"], "page"), (["page", "ticket"], "ticket")):
            here = any(rule.component == component and rule.severity in sources for rule in listed)
            if here and (names := explained[severity]):
                found.append(
                    {
                        "source_matchers": [f'component="{component}"', f'severity=~"{"|".join(sources)}"'],
                        "target_matchers": [f'alertname=~"{"|".join(names)}"'],
                    }
                )
    return found


def cause_of(rule: Rule) -> str:
    """By which its alerts are grouped."""
    return rule.component or rule.name


def _sum(one: Selector, by: Iterable[str]) -> str:
    series = one.metric + _matchers(one.where)
    if one.metric.endswith(("_total", "_count", "_sum", "_bucket")):
        series = f"rate({series}[{RATE_OVER}])"
    labels = ", ".join(by)
    return f"sum by ({labels}) ({series})" if labels else f"sum({series})"


def _matchers(where: Mapping[str, str]) -> str:
    if not where:
        return ""
    inner = ", ".join(f"{name}={_quoted(value)}" for name, value in where.items())
    return f"{{{inner}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    """For an annotation, which Prometheus takes for a template."""
    return text.replace("{{", '{{"{{"}}')


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"
