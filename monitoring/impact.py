"""What an alert puts at risk: the runs that wait for it, the nearest legal deadline among them, and what they may cost.

Which runs wait follows from the rule: those of its lane, where it is about one; all that wait, where it is about what
carries work out (workers, leaders, Redis, PostgreSQL and what keeps it); otherwise it is not known whether any does.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from erip.foundation.moments import moment
from monitoring.core.alerts import Alert
from monitoring.core.rules import Rule
from monitoring.store.impact import LOOKED_AT, Waiting, waiting_runs
from workflows.core.states import Lane

#: components without which work waits
_CARRY = frozenset({"worker", "leader", "redis", "sentinel", "postgresql", "patroni", "etcd"})


class Impact:
    """Asks the database at most once for the same lanes. For one tick."""

    def __init__(self, frame: Mapping[str, Any]) -> None:
        """frame: what a frame says of all work."""
        self._frame = frame
        self._found: dict[tuple[str, ...], dict[str, Any] | None] = {}

    def of(self, alerts: Sequence[Alert], rules: Mapping[str, Rule]) -> dict[str, Any]:
        """What these alerts put at risk together."""
        lanes = tuple(lane for lane in Lane if any(lane in lanes_of(alert, rules) for alert in alerts))
        if lanes and lanes not in self._found:
            found = waiting_runs(lanes)
            self._found[lanes] = None if found is None else said(found)
        return {**self._frame, "runs": self._found[lanes] if lanes else None}


def lanes_of(alert: Alert, rules: Mapping[str, Rule]) -> Sequence[str]:
    """The lanes in which work waits for this; none: it is not known whether any does."""
    rule = rules.get(alert.rule)
    if rule is None:
        return ()
    named = {**rule.where, **dict(alert.labels)}.get("lane")
    if named is not None:
        return [lane for lane in Lane if lane == named]
    about = {rule.component, rule.where.get("component")} | set(dict(alert.labels).values())
    return list(Lane) if about & _CARRY or rule.metric.startswith(("erip_run_", "erip_lane_")) else ()


def said(found: Waiting) -> dict[str, Any]:
    """As a message says it."""
    ahead: list[tuple[datetime, str, str]] = []
    past = unknown = 0
    for facts in found.looked_at:
        unknown += facts.deadlines is None
        for code, text in facts.deadlines or ():
            try:
                at = moment(text)
            except ValueError:
                continue
            if at > found.now:
                ahead.append((at, code, str(facts.run)))
            else:
                past += 1
    losses: dict[str, list[float]] = {}
    for facts in found.looked_at:
        if facts.loss is not None:
            total = losses.setdefault(facts.loss[0], [0.0, 0.0])
            total[0] += facts.loss[1]
            total[1] += facts.loss[2]
    nearest = min(ahead, default=None)
    return {
        "waiting": found.runs,
        "at_least": found.more,
        "looked_at": len(found.looked_at),
        "legal_deadline": None
        if nearest is None
        else {"at": _written(nearest[0]), "obligation": nearest[1], "run": nearest[2]},
        "legal_deadlines_past": past,
        "duties_unknown": unknown,
        "loss": [
            {"currency": currency, "expected": mean, "high": high} for currency, (mean, high) in sorted(losses.items())
        ],
        "loss_unknown": sum(facts.loss is None for facts in found.looked_at),
    }


def lines(runs: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    count, seen = runs["waiting"], runs["looked_at"]
    made = [f"Runs that wait for it: {'at least ' if runs['at_least'] else ''}{count}"]
    if not count:
        return made
    if count > seen:
        made.append(f"Of these the {seen} most urgent were looked at ({LOOKED_AT} at most)")
    nearest = runs["legal_deadline"]
    deadline = f"{nearest['at']} ({nearest['obligation']})" if nearest else "none is known"
    gone = f"; {runs['legal_deadlines_past']} past" if runs["legal_deadlines_past"] else ""
    made.append(f"Nearest legal deadline: {deadline}{gone}; duties unknown for {runs['duties_unknown']} of {seen}")
    sums = ", ".join(
        f"{one['currency']} {one['expected']:,.0f} expected, {one['high']:,.0f} at 95 %" for one in runs["loss"]
    )
    made.append(f"Loss at risk: {sums or 'unknown'}; unknown for {runs['loss_unknown']} of {seen}")
    return made


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
