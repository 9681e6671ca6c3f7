"""Texts that others wrote, as they may stand in a message."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.impact import lines

#: alerts that a message names; how many more there are is said
MOST_ALERTS = 10


def plain(text: Any, most: int) -> str:
    """One line without control characters and without those that turn the direction of text, cut to `most`."""
    # What is far beyond the end is not looked at.
    one = " ".join(str(text)[: 4 * most].split())
    kept = "".join(letter for letter in one if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return kept if len(kept) <= most else f"{kept[: most - 1]}…"


def title(body: Mapping[str, Any], most: int) -> str:
    """What a message is about, with the call that it is."""
    call = body.get("escalation")
    again = f" (call {call['rung']} of {call['of']})" if call else ""
    return (plain(body["title"], most - len(again)) or "an alert without a title") + again


def alert_lines(body: Mapping[str, Any]) -> list[str]:
    """A line for each alert, and one that says how many are left out."""
    lines = []
    for alert in body["alerts"][:MOST_ALERTS]:
        labels = ", ".join(f"{name} {value}" for name, value in alert["labels"].items())
        named = f" [{plain(labels, 200)}]" if labels else ""
        value = "unknown" if alert["value"] is None else f"{alert['value']:g}"
        lines.append(
            f"{alert['state']}: {plain(alert['summary'], 300)}{named}, value {value}, since {plain(alert['since'], 40)}"
        )
    if (more := len(body["alerts"]) - MOST_ALERTS) > 0:
        lines.append(f"and {more} more")
    return lines


def impact_lines(impact: Mapping[str, Any]) -> list[str]:
    """What is at stake, one fact a line. What is not known is said to be unknown."""
    waiting = impact.get("waiting_steps")
    steps = ", ".join(f"{plain(lane, 20)} {count:g}" for lane, count in waiting.items() if count) if waiting else ""
    return [
        f"Steps that wait: {'unknown' if waiting is None else steps or 'none'}",
        f"Deadlines of runs within an hour: {_known(impact.get('deadlines_within_an_hour'))}",
        *(lines(runs) if (runs := impact.get("runs")) else ["Runs that wait for it: unknown"]),
    ]


def _known(value: Any) -> str:
    return "unknown" if value is None else f"{value:g}" if isinstance(value, int | float) else plain(value, 100)


def cause_lines(body: Mapping[str, Any]) -> list[str]:
    """What may have caused it, the likeliest first, with the evidence."""
    return [
        line
        for number, cause in enumerate(body.get("causes", ()))
        for line in (
            f"{'Or' if number else 'Likely cause'}: {plain(cause['component'], 60)}",
            *(f"  {plain(sentence, 300)}" for sentence in cause["evidence"][:5]),
        )
    ]


def runbooks(body: Mapping[str, Any]) -> Sequence[str]:
    """The runbooks of its alerts, each once: a URL, or the name of a page in `docs/how-to/runbooks`."""
    return list(dict.fromkeys(alert["runbook"] for alert in body["alerts"] if alert["runbook"]))[:MOST_ALERTS]
