"""Every page of the console, with something on it to look at: for tests that open all of them.

A page that is new has to be entered here: tests/unit/console/test_every_page.py says so.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from monitoring import store
from monitoring.controls.results import fails, holds
from monitoring.core.frames import TIERS
from monitoring.core.series import series
from monitoring.models import Alert, ErrorCount, ErrorGroup, Silence
from monitoring.scaling import store as scaling
from monitoring.store.controls import note_results
from people import asking, links
from tests.support.clocks import legal_clock
from tests.support.four_eyes import ask_people
from workflows.clocks.changing import file, stop
from workflows.decisions import stored
from workflows.library.shipping import files

#: name of an address → what is asked for, beneath /console/; {…} is what `content` makes
PAGES: Final[dict[str, tuple[str, ...]]] = {
    "home": ("",),
    "health": ("health",),
    "metrics": ("metrics", "metrics?range=15m&chart=erip_lane_waiting_steps~lane&table=erip_lane_waiting_steps~lane",
                "metrics?range=nonsense&chart=none"),
    "capacity": ("capacity",),
    "controls": ("controls", "controls?framework=nis2"),
    "alerts": ("alerts",),
    "alert": ("alerts/{alert}", "alerts/{resolved}"),
    "rules": ("alerts/rules",),
    "new-silence": ("alerts/silence",),
    "errors": ("errors", "errors?state=ignored", "errors?state=any&text=no+such"),
    "error": ("errors/{error}", "errors/{ignored}"),
    "approvals": ("approvals",),
    "approval": ("approvals/{approval}", "approvals/{own}"),
    "by-link": ("approvals/by-link?t={token}", "approvals/by-link?t=none"),
    "decisions": ("decisions",),
    "new-decision": ("new-decision",),
    "decision": ("decisions/shown", "decisions/shown?version=1"),
    "edit-decision": ("decisions/shown/edit", "decisions/wide/edit", "decisions/none-yet/edit"),
    "clocks": ("clocks",),
    "privacy": ("privacy",),
    "clock": ("clocks/{late}", "clocks/{soon}", "clocks/{stopped}", "clocks/{filed}"),
}  # fmt: skip
#: those that answer a wrong form with a page: where the form is, and the button that sends it
WRONG: Final[dict[str, tuple[str, str]]] = {
    "silence": ("alerts/silence", "form[action$=silences] button"),
    "vote": ("approvals/{approval}", "button[value=refuse]"),
    "file-clock": ("clocks/{late}", "form[action$=file] button"),
    "extend-clock": ("clocks/{late}", "form[action$=extend] button"),
    "draft-decision": ("decisions/shown/edit", "button[value=add-rule]"),
    "publish-decision": ("decisions/none-yet/edit", "button[formaction$=publish]"),
    "look-person": ("privacy", "form[action$=look] button.first"),
    "try-decision": ("decisions/shown", "form[action$=try] button"),
}
#: those that lead elsewhere whatever they are sent, and what is no page
ELSEWHERE: Final = {
    "end-silence", "acknowledge", "resolve-error", "ignore-error", "reopen-error", "ask", "claim",
    # The same page with the same list of faults as file-clock, and as look-person; files.
    "stop-clock", "dismiss-clock", "erase-person", "access-person", "certificate",
    "theme", "asset",
}  # fmt: skip
#: addresses that cannot be read are answered with 400 and what can be shown, and links that are invalid with 410
REFUSED: Final = ("nonsense", "t=none")


def addresses(content: dict[str, Any]) -> list[str]:
    """All of them, beneath /console/."""
    return [address.format(**content) for some in PAGES.values() for address in some]


def content(viewer: User) -> dict[str, Any]:
    """Make something for every page; viewer: who looks, and is asked for a vote. Returns what stands in PAGES."""
    now = timezone.now()
    _frames()
    some = {"labels": [["component", "redis"]], "severity": "page", "since": now, "held_at": now, "fired_at": now}
    alert = Alert.objects.create(rule="redis-down", serial=1, stage="firing", summary="Redis does not serve", **some)
    over = {**some, "severity": "ticket", "since": now - timedelta(hours=2), "fired_at": now - timedelta(hours=2)}
    resolved = Alert.objects.create(
        rule="disk-full", serial=1, stage="resolved", summary="The disk fills up", resolved_at=now, **over
    )
    Silence.objects.create(
        rule="disk-full", labels={"host": "db-1"}, reason="It grows", created_by="user:bob", created_at=now,
        ends_at=now + timedelta(hours=1),
    )  # fmt: skip
    rotation = {"zone": "Europe/Berlin", "starts": "2026-01-05", "at": ["09:00"], "days": 7, "people": ["cem", "ana"]}
    store.put_plan(
        {"people": {"cem": ["ops"], "ana": ["ops"]}, "rotations": {"primary": rotation}, "ladders": {}}, by="user:bob"
    )
    scaling.record("workers", 2, 4, reason="backlog: 900 steps wait", emergency=True, measures={})
    note_results({"backup": fails("Nothing is archived."), "standby": holds("One streams.")})
    errors = [
        ErrorGroup.objects.create(
            fingerprint=f"{number:032}", source="attempt", what="some.step", title="KeyError: 'cve'",
            why=[["code", "step_failed"]], traceback="Traceback (most recent call last):\n  " + "a long line " * 40,
            state=state, count=1_234, first_seen=now, last_seen=now, first_release="1", last_release="2",
            regression=state == "open", regressed_at=now,
            links=[{"kind": "request", "id": "1", "at": now.isoformat(), "detail": "GET /x"}],
        )
        for number, state in enumerate(("open", "ignored"))
    ]  # fmt: skip
    ErrorCount.objects.create(
        group_id=errors[0].pk, tier=3_600, count=7, at=now.replace(minute=0, second=0, microsecond=0)
    )
    asked = ask_people()
    viewer.groups.set(User.objects.get(username="dan").groups.all())
    asking.ask(asked.task.pk, by="user:dan", text="Who is concerned?")
    link = links.token_for(asked.by_key, f"user:{viewer.get_username()}")
    assert link is not None, "there are links: ERIP_APPROVAL_LINK_HOURS"
    table = {
        "description": "Who approves",
        "inputs": [
            {"name": "severity", "type": "string", "values": ["low", "high"]},
            {"name": "loss", "type": "number"},
        ],
        "outputs": [{"name": "level", "type": "string"}],
        "rules": [{"when": {"loss": "> 5"}, "then": {"level": '"board"'}, "note": "a long note " * 20}] * 2,
    }
    stored.publish("shown", table, author="test")
    stored.publish("shown", {**table, "description": "Who approves what"}, author="test")
    stored.publish("wide", files.fixture("decision-tables.yaml")[0]["table"], author="test")
    clocks = {
        name: legal_clock(now - timedelta(hours=hours), title=title, verified=name != "late")
        for name, hours, title in (
            ("late", 80, "Notify somebody"),
            ("soon", 70, "Notify somebody " * 9),
            ("stopped", 2, "Notify somebody"),
            ("filed", 3, "Notify somebody"),
        )
    }
    stop(clocks["stopped"].run_id, clocks["stopped"].pk, by="user:ada", reason="The police asked.", article="§ 1")
    file(clocks["filed"].run_id, clocks["filed"].pk, by="user:ada", reference="BSI-17", document="safe 3")
    return {
        "alert": alert.pk,
        "resolved": resolved.pk,
        "error": errors[0].pk,
        "ignored": errors[1].pk,
        "approval": asked.task.pk,
        "own": asked.by_key.pk,
        "token": link[0],
        **{name: one.pk for name, one in clocks.items()},
    }


def _frames() -> None:
    """Half an hour of a handful of series."""
    names = [
        (series("erip_runs_accepted_total", workflow="breach-response"), True, 1.5),
        (series("erip_lane_oldest_wait_seconds", lane="critical"), False, 0.5),
        (series("erip_lane_oldest_wait_seconds", lane="high"), False, 12.0),
        (series("erip_lane_waiting_steps", lane="critical"), False, 3.0),
        (series("erip_lane_waiting_steps", lane="high"), False, 5.0),
        (series("erip_disk_free_bytes"), False, 6e10),
        (series("erip_disk_size_bytes"), False, 1e11),
        (series("erip_postgresql_connections"), False, 20.0),
        (series("erip_run_deadlines_past"), False, 2.0),
        (series("erip_run_deadlines_near"), False, 5.0),
        (series("erip_run_next_deadline_seconds"), False, 30.0),
    ]
    store.learn_series([(one, rate) for one, rate, _ in names])
    places = {one.series: one.id for one in store.read_series()}
    values: list[float | None] = [None] * max(places.values())
    for one, _, value in names:
        values[places[one] - 1] = value
    tick = TIERS[0].seconds
    end = datetime.fromtimestamp(datetime.now(UTC).timestamp() // tick * tick, UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_frame (tier, at, mean)"
            " SELECT %s, %s - make_interval(secs => %s * n), %s::real[] FROM generate_series(0, 179) n",
            [tick, end, tick, values],
        )
