"""The console in a real browser: on every page axe-core finds nothing, nothing is refused, nothing is wider than the
screen, the keyboard comes everywhere, and without scripts there is as much to see.

axe-core is no dependency of ERIP: ERIP_AXE names its `axe.min.js` (npm's package `axe-core`, seen with 4.14.1).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from monitoring.models import Alert
from tests.support.browser import Browser, browser, program
from tests.support.console_pages import PAGES, REFUSED, WRONG, addresses, content
from tests.support.web import web

AXE = os.environ.get("ERIP_AXE", "")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(600),
    pytest.mark.skipif(program() is None, reason="no chromium is installed"),
    pytest.mark.skipif(not AXE, reason="ERIP_AXE does not name axe-core's axe.min.js"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SHAPES = {"light": (1280, False), "dark": (1280, True), "phone": (320, False), "dark phone": (320, True)}
#: of a page: requests and bytes over the wire with an empty cache, and requests with a full one
COLD, BYTES, WARM = 6, 75_000, 2
#: what a page says, without what a script adds
SAID = "(() => { const it = document.querySelector('main').cloneNode(true); it.querySelector('#live')?.remove(); return it.textContent.replace(/\\s+/g, ' '); })()"  # noqa: E501
#: what the keyboard has to come to, by its place in the page
REACHED = """(() => { const all = [...document.querySelectorAll(
    'a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')];
  return all.filter((one) => one.checkVisibility({visibilityProperty: true})).map((one) => all.indexOf(one)); })()"""
FOCUSED = """(() => { const all = [...document.querySelectorAll(
    'a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')];
  const one = document.activeElement, style = getComputedStyle(one), inner = one.querySelector('rect');
  // The parts of a date are focused one by one, and the browser marks the part.
  const seen = style.outlineStyle !== 'none' || (one.type || '').startsWith('date')
    || (inner && getComputedStyle(inner).strokeWidth === '3px');
  return [all.indexOf(one), Boolean(seen)]; })()"""


@pytest.fixture
def viewer() -> User:
    return User.objects.create_superuser("ada", password="a-long-password")


@pytest.fixture
def made(viewer: User, settings: Any) -> dict[str, Any]:
    settings.ERIP_APPROVAL_LINK_HOURS = 24.0
    return content(viewer)


@pytest.fixture
def opened(viewer: User, tmp_path: Path) -> Iterator[tuple[Browser, str]]:
    """A browser of a superuser who is signed in, and where the console is."""
    client = Client()
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies["sessionid"].value
    with web(tmp_path / "web.log", ERIP_APPROVAL_LINK_HOURS="24") as served, browser(tmp_path / "profile") as tab:
        tab.call("Network.setCookie", name="sessionid", value=session, url=served.url)
        yield tab, f"{served.url}/console/"


def faults(tab: Browser, script: str, *, answered: bool = True) -> list[Any]:
    """What is wrong with the page as it is shown. answered: whether its answer was no error by its number."""
    tab.run(script)
    each = "r.violations.map(v => [v.id, v.nodes[0].html.slice(0, 300)])"
    found: list[Any] = tab.run(f"axe.run(document, {{runOnly: {RULES}}}).then(r => {each})")
    # The browser reports each answer that is an error by its number.
    found += [one for one in tab.complaints() if answered]
    wider = tab.run("document.documentElement.scrollWidth - innerWidth")
    return found + ([f"{wider} pixels wider than the screen"] if wider > 0 else [])


def test_no_page_has_a_fault_that_axe_or_the_browser_finds(opened: tuple[Browser, str], made: dict[str, Any]) -> None:
    tab, base = opened
    script = Path(AXE).read_text()
    found = {}
    for shape, (width, dark) in SHAPES.items():
        tab.shape(width, 900, dark=dark)
        for address in addresses(made):
            tab.go(base + address)
            if wrong := faults(tab, script, answered=not any(one in address for one in REFUSED)):
                found[address, shape] = wrong
        for name, (address, button) in WRONG.items():
            tab.go(base + address.format(**made))
            tab.run("document.querySelectorAll('form').forEach((one) => { one.noValidate = true; })")
            tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            tab.follow(f"document.querySelector({button!r}).click()")
            if wrong := faults(tab, script, answered=False):
                found[name, shape] = wrong
    assert found == {}


def test_who_may_not_see_a_page_is_told_so_on_one_without_a_fault(opened: tuple[Browser, str], viewer: User) -> None:
    tab, base = opened
    viewer.is_superuser = False
    viewer.save()
    tab.go(base + "health")
    assert "is not open to you" in tab.run("document.body.innerText")
    assert faults(tab, Path(AXE).read_text(), answered=False) == []


def test_without_scripts_every_page_says_as_much(opened: tuple[Browser, str], made: dict[str, Any]) -> None:
    tab, base = opened
    tab.shape(1280, 900, dark=False)
    differs = {}
    for address in addresses(made):
        # What is live may change between the two: then they are compared once more.
        for _ in range(3):
            tab.go(base + address)
            shown = tab.run(SAID)
            tab.call("Emulation.setScriptExecutionDisabled", value=True)
            tab.go(base + address)
            without = tab.run(SAID)
            tab.call("Emulation.setScriptExecutionDisabled", value=False)
            if same := len(shown) >= 20 and shown == without:
                break
        if not same:
            differs[address] = (shown, without)
    assert differs == {}


@pytest.mark.parametrize("width", [1280, 320])
def test_the_keyboard_comes_to_all_of_every_page_and_shows_where_it_is(
    opened: tuple[Browser, str], made: dict[str, Any], width: int
) -> None:
    tab, base = opened
    tab.shape(width, 900, dark=False)
    missed = {}
    # One of each kind: the others have the same parts.
    for name, (address, *_) in PAGES.items():
        tab.go(base + address.format(**made))
        wanted = {*tab.run(REACHED)}
        seen, unseen = set(), set()
        for _ in range(len(wanted) + 6):
            tab.press("Tab")
            place, shown = tab.run(FOCUSED)
            seen.add(place)
            if place >= 0 and not shown:
                unseen.add(place)
        if wanted - seen or unseen:
            missed[name] = (wanted - seen, unseen)
    assert missed == {}
    tab.go(base)
    tab.press("Tab")
    assert tab.run("document.activeElement.getAttribute('href')") == "#main"
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "main"


def test_every_page_is_within_its_budget(opened: tuple[Browser, str], made: dict[str, Any]) -> None:
    tab, base = opened
    beyond = {}
    for address in addresses(made):
        tab.call("Network.clearBrowserCache")
        tab.go(base + address)
        cold, size = tab.requests()
        tab.go(base + address)
        warm, _ = tab.requests()
        if cold > COLD or size > BYTES or warm > WARM or not cold:
            beyond[address] = (cold, size, warm)
    assert beyond == {}


def test_an_open_page_is_brought_up_to_date_and_keeps_the_focus(
    opened: tuple[Browser, str], made: dict[str, Any]
) -> None:
    tab, base = opened
    tab.go(base + "alerts")
    tab.run("document.querySelector('[data-part=open] .what a').focus()")
    Alert.objects.filter(pk=made["alert"]).update(summary="Another sentence")
    assert tab.run("document.body.innerText.includes('Redis does not serve')")
    changed = """new Promise((done) => { const look = () =>
        document.body.innerText.includes('Another sentence') ? done(true) : setTimeout(look, 100); look(); })"""
    assert tab.run(changed)
    assert tab.run("document.activeElement.innerText") == "Another sentence"
