"""Alerts: what fires, who has it, what is silenced, and by which rules. And what is done about them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from console import snapshots
from console.charts import units
from console.pages import Page, changes, forget_rendered, in_shell, page, with_query
from console.viewers import may, reach
from erip.access.principals import Principal
from erip.access.spaces import LISTS
from monitoring.alerting import shipped
from monitoring.channels.text import impact_lines
from monitoring.core.rules import Rule
from monitoring.silencing import silence_faults
from monitoring.store import listing
from monitoring.taking import take_on
from workflows.core.durations import NotADuration, parse_duration

LENGTHS = ("30m", "1h", "4h", "1d", "7d")
MOST_NOTE, MOST_REASON = 1_000, 500


@page("Alerts", "monitoring.view_alert", of=LISTS)
def alerts(query: QueryDict, viewer: Principal) -> Page:
    look = snapshots.alerts_in(reach(viewer, "monitoring.view_alert"))
    on_call = snapshots.on_call.look().value if may(viewer, "monitoring.view_oncallplan") else ()
    return Page(
        "console/alerts.html",
        {"look": look, "found": look.value, "on_call": on_call},
        every=5,
        around="console/alerts_page.html",
    )


@page("Alert rules", "monitoring.view_alertrule")
def rules(query: QueryDict, viewer: Principal) -> Page:
    found = snapshots.alerts.look().value
    rows = []
    if found is not None:
        firing: dict[str, int] = {}
        for one in found.open:
            firing[one.row["rule"]] = firing.get(one.row["rule"], 0) + 1
        for name in sorted({*shipped(), *found.own}):
            rule = found.rules.get(name) or shipped().get(name)
            if rule is not None:
                rows.append(
                    (
                        rule,
                        "own" if found.own.get(name) else "shipped",
                        name in found.rules,
                        firing.get(name, 0),
                        condition(rule),
                    )
                )
    return Page("console/rules.html", {"rules": rows, "known": found is not None}, every=30)  # fmt: skip


def condition(rule: Rule) -> str:
    """What a rule alerts for, in one line."""
    where = ", ".join(f"{name} {value}" for name, value in rule.where.items())
    what = f"{rule.metric}{f' [{where}]' if where else ''}"
    if rule.divide_by is not None:
        what += f" ÷ {rule.divide_by.metric}"
    bound = f"> {units.number(rule.above)}" if rule.above is not None else f"< {units.number(rule.below)}"
    by = f", for each {' and '.join(rule.by)}" if rule.by else ""
    return f"{what} {bound}{by}"


@page("Alert", "monitoring.view_alert", of="alert")
def alert(query: QueryDict, viewer: Principal, number: int) -> Page:
    whole = may(viewer, "monitoring.view_alert")
    found = snapshots.alerts.look().value
    shown = next((one for one in [*found.open, *found.resolved] if one.row["id"] == number), None) if found else None
    if shown is None:
        row = listing.alert(number)
        if row is None:
            raise Http404
        shown = snapshots.shown(row, found.rules if found else {})
    if not whole:
        shown = snapshots.without_platform(shown)
    chart = with_query(
        reverse("console:metrics"),
        chart=f"{shown.rule.metric}~{','.join(shown.rule.by)}" if shown.rule and shown.rule.by else shown.rule.metric,
        range="6h",
    ) if shown.rule and may(viewer, "monitoring.view_frame") else ""  # fmt: skip
    context = {
        "one": shown,
        "condition": condition(shown.rule) if shown.rule else "",
        "chart": chart,
        "lengths": LENGTHS,
        "silence": {"rule": shown.row["rule"], "labels": labels_text(shown.row["labels"])},
        "ended": shown.row["stage"] == "resolved",
        "called": called(shown.row),
        "risk": impact_lines(shown.row["impact"]) if shown.row["impact"] else [],
    }
    return Page("console/alert.html", context, every=10, around="console/alert_page.html")


def called(row: Mapping[str, Any]) -> str:
    """Who was called by its ladder, and by how many calls; "": nobody was. Targets of the settings hold secrets."""
    names = [target.removeprefix("channel:") for target in row["told"] if target.startswith("channel:")]
    times = f"{row['rung']} call{'s' if row['rung'] > 1 else ''}"
    return f"{', '.join(names) or 'nobody'} ({times})" if row["rung"] else ""


@page("New silence", "monitoring.add_silence")
def new_silence(query: QueryDict, viewer: Principal) -> Page:
    given = {name: query.get(name, "") for name in ("rule", "labels", "reason", "length")}
    return Page(
        "console/nothing.html", {"silence": given, "lengths": LENGTHS, "faults": []}, every=0,
        around="console/silence_page.html",
    )  # fmt: skip


@changes("monitoring.change_alert")
def acknowledge(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    if take_on(number, by=viewer.name, note=request.POST.get("note", "").strip()[:MOST_NOTE]):
        messages.success(request, "You have it. The alert goes on being judged, and its end is announced if it was.")
    elif listing.alert(number) is None:
        raise Http404
    else:
        messages.error(request, "Somebody has acknowledged it already, or it has ended.")
    return _back("console:alert", number)


@changes("monitoring.add_silence")
def silence(request: HttpRequest, viewer: Principal) -> HttpResponse:
    given = {name: request.POST.get(name, "").strip() for name in ("rule", "labels", "reason", "length")}
    labels, faults = labels_of(given["labels"])
    now = timezone.now()
    try:
        ends = now + timedelta(seconds=parse_duration(given["length"]))
    except (NotADuration, OverflowError):
        ends = now
    if not given["reason"]:
        faults.append("Reason: say why, for those who wonder why nobody was told.")
    if len(given["reason"]) > MOST_REASON:
        faults.append(f"Reason: is longer than {MOST_REASON} characters.")
    faults += [
        f"{_FIELDS.get(fault.path, fault.path)}: {fault.message}."
        for fault in silence_faults(given["rule"], labels, ends, now)
    ]
    if "\0" in "".join(given.values()):
        faults.append("A character U+0000 cannot be stored.")
    if faults:
        context = {"silence": given, "lengths": LENGTHS, "faults": faults}
        return in_shell(request, viewer, "New silence", "console/silence_page.html", context, status=422)
    listing.silence(rule=given["rule"], labels=labels, reason=given["reason"], ends=ends, by=viewer.name)
    messages.success(request, f"Silent until {units.moment(ends)} UTC. What still fires then is announced.")
    return _back("console:alerts")  # fmt: skip


_FIELDS = {"ends_at": "Length", "rule": "Rule", "labels": "Labels"}


@changes("monitoring.change_silence")
def end_silence(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    if listing.end_silence(number):
        messages.success(request, "The silence has ended. What fires is announced.")
    else:
        messages.error(request, "That silence had ended already.")
    return _back("console:alerts")


def _back(name: str, *parts: object) -> HttpResponse:
    snapshots.alerts.forget()
    forget_rendered()
    response = redirect(name, *parts)
    response.status_code = 303
    return response


def labels_text(labels: Any) -> str:
    return "\n".join(f"{name}={value}" for name, value in labels)


def labels_of(text: str) -> tuple[dict[str, str], list[str]]:
    """Labels, one on each line as name=value; and what is wrong with them."""
    found, faults = {}, []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, sign, value = line.partition("=")
        if not sign:
            faults.append(f"Labels: “{line[:60]}” is not name=value.")
        elif len(value) > 200:
            faults.append(f"Labels: the value of “{name[:60]}” is longer than 200 characters.")
        else:
            found[name.strip()] = value.strip()
    return found, faults
