"""The console in a real browser: axe-core finds nothing, nothing is refused, nothing is wider than the screen, and
without scripts a page shows as much.

axe-core is no dependency of ERIP: ERIP_AXE names its `axe.min.js` (npm's package `axe-core`, seen with 4.14.1).
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from monitoring.models import Alert, ErrorGroup
from tests.support.browser import Browser, browser, program
from tests.support.clocks import legal_clock
from tests.support.web import web
from workflows.clocks.changing import stop
from workflows.decisions import stored
from workflows.library.shipping import files

AXE = os.environ.get("ERIP_AXE", "")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(program() is None, reason="no chromium is installed"),
    pytest.mark.skipif(not AXE, reason="ERIP_AXE does not name axe-core's axe.min.js"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SHAPES = {"light": (1280, False), "dark": (1280, True), "phone": (390, False), "dark phone": (390, True)}


@pytest.fixture
def pages() -> list[str]:
    now = timezone.now()
    alert = Alert.objects.create(
        rule="redis-down", labels=[["component", "redis"]], serial=1, stage="firing", severity="page",
        summary="Redis does not serve", since=now, held_at=now, fired_at=now,
    )  # fmt: skip
    error = ErrorGroup.objects.create(
        fingerprint="0" * 32, source="attempt", what="some.step", title="KeyError: 'cve'", why=[["code", "x"]],
        traceback="Traceback (most recent call last):\n  " + "a very long line " * 40, state="open", count=1_234,
        first_seen=now, last_seen=now, first_release="1", last_release="2",
        links=[{"kind": "request", "id": "1", "at": now.isoformat(), "detail": "GET /x"}],
    )  # fmt: skip
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
    stored.publish("wide", files.fixture("decision-tables.yaml")[0]["table"], author="test")
    clocks = [
        legal_clock(now - timedelta(hours=hours), title="Notify somebody " * count, verified=count > 1)
        for hours, count in ((80, 1), (70, 9), (2, 2))
    ]
    stop(clocks[2].run_id, clocks[2].pk, by="user:ada", reason="The police asked.", article="§ 1")
    return [
        "", "health", "metrics", "capacity", "alerts", f"alerts/{alert.id}", "alerts/rules", "alerts/silence", "errors",
        f"errors/{error.id}", "clocks", *(f"clocks/{one.pk}" for one in clocks), "decisions", "new-decision",
        "decisions/shown", "decisions/shown/edit", "decisions/wide/edit",
        "metrics?range=nonsense&chart=none",
    ]  # fmt: skip


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Browser, str]]:
    """A browser of a superuser who is signed in, and where the console is."""
    user = User.objects.create_superuser("ada", password="a-long-password")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies["sessionid"].value
    with web(tmp_path / "web.log") as served, browser(tmp_path / "profile") as tab:
        tab.call("Network.setCookie", name="sessionid", value=session, url=served.url)
        yield tab, f"{served.url}/console/"


def test_no_page_has_a_fault_that_axe_or_the_browser_finds(opened: tuple[Browser, str], pages: list[str]) -> None:
    tab, base = opened
    script = Path(AXE).read_text()
    wanted = f"axe.run(document, {{runOnly: {RULES}}}).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))"
    found = {}
    for page in pages:
        for shape, (width, dark) in SHAPES.items():
            tab.shape(width, 900, dark=dark)
            tab.go(base + page)
            # An address that cannot be read is answered with 400, which the browser reports.
            refused = [one for one in tab.complaints() if "nonsense" not in page]
            wider = tab.run("document.documentElement.scrollWidth - innerWidth")
            tab.run(script)
            violations = tab.run(wanted)
            if refused or violations or wider > 0:
                found[page, shape] = (refused, violations, wider)
    assert found == {}


def test_a_page_without_scripts_shows_as_much_and_the_keyboard_comes_everywhere(opened: tuple[Browser, str]) -> None:
    tab, base = opened
    tab.shape(1280, 900, dark=False)
    tab.go(base + "alerts")
    shown = tab.run("document.querySelector('.parts').innerText")
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.go(base + "alerts")
    assert tab.run("document.querySelector('.parts').innerText") == shown
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    tab.go(base)
    reached = []
    for _ in range(40):
        for kind in ("keyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(tab.run("document.activeElement.getAttribute('href') || document.activeElement.tagName"))
    assert reached[0] == "#main"
    assert {"/console/health", "/console/metrics", "/console/capacity", "/console/alerts", "/console/errors"} <= {
        *reached
    }
    outlined = tab.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outlined != "none" or reached[-1] == "BODY"


def test_an_open_page_is_brought_up_to_date_and_keeps_the_focus(opened: tuple[Browser, str], pages: list[str]) -> None:
    tab, base = opened
    tab.go(base + "alerts")
    tab.run("document.querySelector('[data-part=open] .what a').focus()")
    Alert.objects.update(summary="Another sentence")
    assert tab.run("document.body.innerText.includes('Redis does not serve')")
    changed = """new Promise((done) => { const look = () =>
        document.body.innerText.includes('Another sentence') ? done(true) : setTimeout(look, 100); look(); })"""
    assert tab.run(changed)
    assert tab.run("document.activeElement.innerText") == "Another sentence"
