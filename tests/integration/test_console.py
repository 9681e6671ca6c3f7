"""The console on a real database: who comes in, what a page costs, what a browser may do, and the forms."""

import gzip
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, resolve, reverse

from console import pages, reading, snapshots
from console.assets import assets
from console.viewers import viewers
from console.views import capacity, errors, metrics, privacy
from monitoring import health, store
from monitoring.core.frames import TIERS
from monitoring.core.series import series
from monitoring.models import Alert, ErrorCount, ErrorGroup, Silence
from monitoring.scaling import store as scaling
from monitoring.store import listing
from monitoring.watching import watching
from tests.definitions import publish
from tests.fuzz import hostile
from tests.support.clocks import legal_clock
from workflows import engine
from workflows.decisions import stored
from workflows.models import ApprovalTask

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
#: pages that can be asked for without a thing of their own
PAGES = ["home", "health", "metrics", "capacity", "alerts", "rules", "new-silence", "errors", "approvals", "clocks",
         "decisions", "new-decision"]  # fmt: skip
PAGES += ["controls", "privacy"]
#: open to everybody, each with the reason
OPEN = {
    "asset": "holds no data",
    "theme": "changes a cookie of the browser alone",
    "by-link": "opens to whoever holds a signed link, which names its person",
}


@pytest.fixture(autouse=True)
def nothing_is_known_yet() -> Iterator[None]:
    cold()
    yield
    cold()


@pytest.fixture(autouse=True, scope="module")
def looks_end_with_this_module() -> Iterator[None]:
    yield
    watching.stop()


def cold(*, but_viewers: bool = False) -> None:
    if not but_viewers:
        viewers.forget()
    snapshots.forget()
    capacity.forget()
    metrics.forget()
    errors.forget()
    privacy.forget()
    pages.forget_rendered()
    health.forget()


def staff(*permissions: str, name: str = "ada", superuser: bool = False) -> Client:
    member = User.objects.create_user(name, password="a-long-password", is_staff=True, is_superuser=superuser)
    member.user_permissions.set(
        Permission.objects.get(content_type__app_label=label, codename=codename)
        for label, _, codename in (one.partition(".") for one in permissions)
    )
    client = Client()
    client.force_login(member, backend=BACKEND)
    return client


@pytest.fixture
def admin() -> Client:
    return staff(superuser=True)


@pytest.fixture
def frames() -> datetime:
    """Half an hour of frames with a handful of series."""
    names = [
        (series("erip_runs_accepted_total", workflow="breach-response"), True),
        *((series("erip_lane_oldest_wait_seconds", lane=lane), False) for lane in ("critical", "high")),
        (series("erip_lane_waiting_steps", lane="critical"), False),
        (series("erip_disk_free_bytes"), False),
        (series("erip_disk_size_bytes"), False),
        (series("erip_postgresql_connections"), False),
        (series("erip_run_deadlines_past"), False),
        (series("erip_run_deadlines_near"), False),
        (series("erip_run_next_deadline_seconds"), False),
    ]
    store.learn_series(names)
    tick = TIERS[0].seconds
    end = datetime.fromtimestamp(datetime.now(UTC).timestamp() // tick * tick, UTC)
    values = [1.5, 0.5, 12.0, 3.0, 6e10, 1e11, 20.0, 2.0, 5.0, -30.0]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_frame (tier, at, mean)"
            " SELECT %s, %s - make_interval(secs => %s * n), %s::real[] FROM generate_series(0, 179) n",
            [tick, end, tick, values],
        )
    return end


def fired(rule: str = "redis-down", **more: Any) -> Alert:
    now = datetime.now(UTC)
    given = {
        "labels": [], "serial": 1, "stage": "firing", "severity": "page", "summary": "Redis does not serve",
        "since": now, "held_at": now, "fired_at": now,
    }  # fmt: skip
    return Alert.objects.create(rule=rule, **{**given, **more})


def asked_for() -> ApprovalTask:
    publish("name: asks\nsteps: {ask: {approval: {title: Go on, quorum: [{role: board}]}}}\n")
    engine.start_runs("asks", [engine.StartRequest({})], principal="test")
    return ApprovalTask.objects.get()


def decided_by() -> str:
    """A decision table."""
    table = {
        "inputs": [{"name": "n", "type": "number"}],
        "outputs": [{"name": "o"}],
        "rules": [{"when": {"n": "> 5"}, "then": {"o": 1}}, {"when": {"n": "> 6"}, "then": {"o": 2}}],
    }
    return stored.publish("shown", table, author="test").name


def get(client: Client, name: str, query: str = "", **headers: str) -> Any:
    return client.get(reverse(f"console:{name}") + query, headers=headers)


# --- who comes in -----------------------------------------------------------------------------------------


def patterns() -> dict[str, Any]:
    (mounted,) = (one for one in get_resolver().url_patterns if str(one.pattern) == "console/")
    return {one.name: one for one in mounted.url_patterns}


def test_every_address_says_whom_it_is_open_to() -> None:
    said = {name for name, one in patterns().items() if getattr(one.callback, "permissions", ())}
    assert {*patterns()} - said == {*OPEN}


def test_nobody_and_who_is_not_staff_are_sent_to_sign_in_and_come_back() -> None:
    User.objects.create_user("eve", password="a-long-password")
    eve = Client()
    eve.force_login(User.objects.get(), backend=BACKEND)
    for client in (Client(), eve):
        for name in PAGES:
            answer = get(client, name)
            assert answer.status_code == 302
            assert answer["Location"] == f"/admin/login/?next={reverse(f'console:{name}')}"
            assert get(client, name, "?part=live").status_code == 401
        for name in ("silence", "acknowledge", "end-silence", "resolve-error", "ignore-error", "reopen-error"):
            url = reverse(f"console:{name}", args=[1] if name != "silence" else [])
            assert client.post(url)["Location"].startswith("/admin/login/")
    assert Silence.objects.count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_to_those_with_its_right_and_to_nobody_else(name: str) -> None:
    needed = patterns()[name].callback.permissions
    others = {one for page in patterns().values() for one in getattr(page.callback, "permissions", ())}
    # Who may change something may look at it.
    others -= {one.replace(".view_", ".change_") for one in needed}
    for number, one in enumerate(needed):
        assert get(staff(one, name=f"one{number}"), name).status_code == 200
    assert get(staff(*others - {*needed}, name="others"), name).status_code == 403
    assert get(staff(name="none"), name).status_code == 403


def test_what_needs_another_right_is_not_shown_on_a_page(frames: datetime) -> None:
    fired()
    cold()
    seer = staff("monitoring.view_frame")
    home = get(seer, "home").content.decode()
    assert "Redis does not serve" not in home
    assert "Verdict" not in home
    assert "Changes of the number of workers" not in get(seer, "capacity").content.decode()
    reader = staff("monitoring.view_alert", name="bob")
    assert "Acknowledge<" not in get(reader, "alerts").content.decode()
    assert reader.post(reverse("console:acknowledge", args=[Alert.objects.get().id])).status_code == 403
    assert Alert.objects.get().acknowledged_at is None


def test_a_session_that_ended_and_a_right_that_is_gone_count_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [staff("monitoring.view_frame", name=name) for name in ("ada", "bob", "eve", "kim")]
    assert [get(one, "metrics").status_code for one in clients] == [200] * 4
    User.objects.get(username="ada").user_permissions.clear()
    User.objects.filter(username="bob").update(is_active=False)
    changed = User.objects.get(username="eve")
    changed.set_password("another-long-password")
    changed.save()
    # Remembered, for as long as `GOOD_FOR` says.
    assert get(clients[0], "metrics").status_code == 200
    monkeypatch.setattr("console.viewers.GOOD_FOR", 0.0)
    assert [get(one, "metrics").status_code for one in clients] == [403, 302, 302, 200]


def test_while_the_database_is_away_those_who_are_known_go_on_looking_and_nothing_is_changed(frames: datetime) -> None:
    alert = fired()
    known, other = staff(superuser=True), staff(superuser=True, name="bob")
    assert get(known, "alerts").status_code == 200
    snapshots.alerts.forget()
    pages.forget_rendered()

    def away(*_: Any) -> Any:
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(away):
        shown = get(known, "alerts")
        assert shown.status_code == 200
        assert "Redis does not serve" in shown.content.decode()
        assert "not up to date" in shown.content.decode()
        assert get(known, "health").status_code == 200
        assert get(other, "alerts").status_code == 503
        answer = known.post(reverse("console:acknowledge", args=[alert.id]))
        assert answer.status_code == 503
        assert "not known whether your change was made" in answer.content.decode()
    assert get(other, "alerts").status_code == 200
    assert Alert.objects.get().acknowledged_at is None


# --- what a page costs ------------------------------------------------------------------------------------


class Asked:
    """What the database is asked while a page is made: also by the thread that reads the reports for the health."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[str] = []
        execute = CursorWrapper.execute

        def noted(cursor: CursorWrapper, sql: Any, params: Any = None) -> Any:
            thread = threading.current_thread()
            if thread is threading.main_thread() or thread.name == "read-reports":
                self.found.append(str(sql))
            return execute(cursor, sql, params)

        monkeypatch.setattr(CursorWrapper, "execute", noted)

    def by(self, client: Client, address: str) -> list[str]:
        self.found.clear()
        assert client.get(address).status_code in (200, 304)
        mine = [one for one in self.found if not one.startswith(("BEGIN", "COMMIT", "SET", "SAVEPOINT", "RELEASE"))]
        # Whatever waits, runs or has ended is counted in frames: a page costs the same with five million runs.
        # The approvals that are open have an index of their own.
        counted = [one for one in mine if '"workflows_approvaltask"' not in one]
        assert not [one for one in counted if '"workflows_' in one or " workflows_" in one]
        return mine


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.retry_once(reason="a machine that starts many servers meanwhile may keep a page beyond its patience: 503")
def test_pages_cost_few_statements_and_open_ones_none(
    asked: Asked, frames: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is, nothing that was read grows old meanwhile.
    monkeypatch.setattr("console.shared.time", SimpleNamespace(monotonic=lambda: 1e9, time=time.time))
    monkeypatch.setattr("console.viewers.GOOD_FOR", 600.0)
    one = fired()
    back = group(regression=True, regressed_at=datetime.now(UTC), title="It is back")
    everything = Permission.objects.values_list("content_type__app_label", "codename")
    client = staff(*(f"{label}.{codename}" for label, codename in everything))
    addresses = [
        *(reverse(f"console:{name}") for name in PAGES),
        reverse("console:alert", args=[one.id]),
        reverse("console:approval", args=[asked_for().pk]),
        reverse("console:clock", args=[legal_clock().pk]),
        reverse("console:decision", args=[decided_by()]),
        reverse("console:edit-decision", args=[decided_by()]),
        reverse("console:error", args=[back.id]),
        reverse("console:metrics") + "?range=7d&chart=erip_lane_waiting_steps~lane",
    ]
    shown = {name for name, one in patterns().items() if name not in OPEN and _is_page(one)}
    assert {resolve(urlsplit(address).path).url_name for address in addresses} == shown
    # The first page of a new session asks about the session, the user and their rights: four more.
    assert len(asked.by(client, addresses[PAGES.index("new-silence")])) <= 4
    for address in addresses:
        cold(but_viewers=True)
        # Which series there are is asked twice a minute, by whichever page comes then: one more.
        reading.series.look()
        costs = asked.by(client, address)
        assert len(costs) <= 4, (address, costs)
        live = f"{address}{'&' if '?' in address else '?'}part=live"
        assert asked.by(client, address) == [], address
        assert asked.by(client, live) == [], address
    assert "Back again: It is back" in get(client, "home").content.decode()


def _is_page(pattern: Any) -> bool:
    """Whether it shows something: a form's target takes no GET."""
    address = re.sub(r"<[a-z_]+:[a-z]+>", "1", str(pattern.pattern))
    return Client().get(f"/console/{address}").status_code != 405


def test_many_viewers_cost_what_one_costs(monkeypatch: pytest.MonkeyPatch, frames: datetime) -> None:
    def costs(clients: list[Client]) -> int:
        cold()
        for one in clients:
            get(one, "alerts", "?part=live")
        snapshots.alerts.clear()
        pages.forget_rendered()
        monkeypatch.setattr("console.viewers.GOOD_FOR", 0.0)
        with CaptureQueriesContext(connection) as seen:
            assert get(clients[0], "alerts", "?part=live").status_code == 200
            monkeypatch.setattr("console.viewers.GOOD_FOR", 5.0)
            for one in clients:
                assert get(one, "alerts", "?part=live").status_code == 200
        return len(seen)

    one = costs([staff("monitoring.view_alert", name="one")])
    # Twelve here, for the time that their sessions take; nothing depends on the number.
    assert costs([staff("monitoring.view_alert", name=f"many{number}") for number in range(12)]) <= one
    assert one <= 8


class Read(HTMLParser):
    """Elements, attributes and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def read(answer: Any) -> list[tuple[str, dict[str, str | None]]]:
    content = answer.content
    parser = Read()
    parser.feed((gzip.decompress(content) if answer.get("Content-Encoding") == "gzip" else content).decode())
    return parser.found


def test_pages_are_small_and_all_that_they_need_comes_from_here(admin: Client, frames: datetime) -> None:
    for name in PAGES:
        is_small(admin, name)


def is_small(admin: Client, name: str) -> None:
    answer = get(admin, name, "", **{"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    found = read(answer)
    needed = {one["href"] for tag, one in found if tag == "link"}
    needed |= {one["src"] for tag, one in found if "src" in one}
    assert all(one and one.startswith("/console/assets/") for one in needed)
    size = len(answer.content)
    for one in needed:
        got = admin.get(one, headers={"Accept-Encoding": "gzip"})
        assert got["Cache-Control"] == "public, max-age=31536000, immutable"
        size += len(got.content)
    assert len(needed) + 1 <= 6
    assert size <= 75_000
    # A browser that has been here asks for the page alone, and later for its live part: it keeps the rest.


def test_a_browser_runs_nothing_but_our_own(admin: Client, frames: datetime) -> None:
    fired()
    for name in PAGES:
        runs_our_own(admin, name)


def runs_our_own(admin: Client, page: str) -> None:
    answer = get(admin, page)
    policy = {
        part.split()[0]: part.split()[1:] for part in answer["Content-Security-Policy"].split(";") if part.strip()
    }
    assert policy["script-src"] == ["'self'"]
    assert policy["style-src"] == ["'self'"]
    assert policy["default-src"] == ["'none'"]
    assert answer["Cache-Control"] == "private, no-cache"
    found = read(answer)
    for tag, one in found:
        assert tag != "style"
        assert tag != "script" or one["src"]
        assert not [name for name in one if name == "style" or name.startswith("on")]
    ids = [one["id"] for _, one in found if "id" in one]
    assert sorted(ids) == sorted(set(ids))
    labels = {one["for"] for tag, one in found if tag == "label"}
    fields = [one for tag, one in found if tag in ("input", "select", "textarea") and one.get("type") != "hidden"]
    assert all(one.get("id") in labels for one in fields)
    assert [tag for tag, _ in found].count("h1") == 1


def test_an_asset_of_another_release_is_given_but_not_kept(client: Client) -> None:
    name = "console.css"
    right = client.get(reverse("console:asset", args=[assets()[name].digest, name]))
    other = client.get(reverse("console:asset", args=["0" * 16, name]))
    assert right.content == other.content == assets()[name].content
    assert other["Cache-Control"] == "no-store"
    assert client.get("/console/assets/0/..%2Fpages.py").status_code == 404
    assert client.get(reverse("console:asset", args=["0" * 16, "none.css"])).status_code == 404


# --- an open page -----------------------------------------------------------------------------------------


def test_the_live_part_is_the_same_for_all_with_the_same_rights(frames: datetime) -> None:
    fired()
    first, second = staff(superuser=True), staff(superuser=True, name="grace-hopper")
    for name in PAGES:
        is_the_same(first, second, name)


def is_the_same(first: Client, second: Client, name: str) -> None:
    answer = get(first, name, "?part=live")
    assert answer.status_code == 200
    body = answer.content.decode()
    assert "csrfmiddlewaretoken" not in body
    assert "ada" not in re.sub(r"<[^>]+>", "", body).split()
    again = get(second, name, "?part=live", **{"If-None-Match": answer["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    # What the page shows at first is what is asked for afterwards: a script can tell the parts apart by their names.
    parts = [one["data-part"] for _, one in read(answer) if "data-part" in one]
    assert parts == [one["data-part"] for _, one in read(get(first, name)) if "data-part" in one]
    assert len(parts) == len(set(parts))


def test_a_change_is_in_the_next_answer(admin: Client) -> None:
    before = get(admin, "alerts", "?part=live")
    fired()
    snapshots.alerts.forget()
    pages.forget_rendered()
    after = get(admin, "alerts", "?part=live", **{"If-None-Match": before["ETag"]})
    assert after.status_code == 200
    assert "Redis does not serve" in after.content.decode()


# --- what is shown ----------------------------------------------------------------------------------------


def test_the_first_page_says_what_needs_its_viewer_the_urgent_first(admin: Client, frames: datetime) -> None:
    fired(rule="ticket-one", severity="ticket", summary="A small thing")
    fired()
    fired(rule="taken", summary="Somebody has it", acknowledged_at=datetime.now(UTC), acknowledged_by="user:x")
    text = get(admin, "home").content.decode()
    assert "Somebody has it" not in text
    assert 0 < text.index("Redis does not serve") < text.index("A small thing")
    assert "2 runs are past the deadline" in text
    assert "3 runs have their deadlines within the hour" in text


def test_without_frames_numbers_are_unknown_and_not_0(admin: Client) -> None:
    text = get(admin, "home").content.decode()
    assert ">unknown <" in text
    text = get(admin, "capacity").content.decode()
    assert "Unknown: the disk has not been measured" in text
    assert "in time" not in text


def test_old_frames_are_no_answer_to_how_is_it_now(admin: Client, frames: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_frame SET at = at - interval '1 day'")
        cursor.execute("UPDATE monitoring_frame SET at = at + interval '1 day' - interval '20 minutes'")
    assert ">unknown <" in get(admin, "home").content.decode()
    assert "in time" not in get(admin, "capacity").content.decode()


def test_a_number_of_now_is_that_of_the_newest_frame_and_no_mean(admin: Client, frames: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_frame SET mean[(SELECT id FROM monitoring_series"
            " WHERE metric = 'erip_run_deadlines_past')] = 0 WHERE at < %s",
            [frames - timedelta(seconds=15)],
        )
    assert "2 runs are past the deadline" in get(admin, "home").content.decode()


def test_the_alerts_page_says_who_is_on_call(admin: Client) -> None:
    assert "There is no plan" in get(admin, "alerts").content.decode()
    rotation = {"zone": "UTC", "starts": "2026-01-05", "at": ["09:00"], "days": 7, "people": ["cem"]}
    store.put_plan({"people": {"cem": ["ops"]}, "rotations": {"primary": rotation}, "ladders": {}}, by="test")
    cold()
    text = get(admin, "alerts").content.decode()
    assert 'data-label="Now">cem' in text
    assert "On call" not in get(staff("monitoring.view_alert", name="bob"), "alerts").content.decode()


def test_lanes_stand_against_their_bounds(admin: Client, frames: datetime) -> None:
    scaling.record("workers", 2, 4, reason="backlog: 900 steps wait", emergency=True, measures={})
    text = get(admin, "capacity").content.decode()
    # 0.5 s of 2 s, and 12 s of 10 s; of the others nothing is known.
    assert ("in time" in text, "late" in text, text.count(">unknown</span>") >= 2) == (True, True, True)
    assert "backlog: 900 steps wait" in text
    assert "2 → 4" in text


def test_metrics_are_in_the_address(admin: Client, frames: datetime) -> None:
    fired(since=frames - timedelta(minutes=10), fired_at=frames - timedelta(minutes=10))
    answer = get(admin, "metrics", "?range=15m&chart=erip_lane_oldest_wait_seconds~lane&chart=erip_disk_free_bytes")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.count('class="chart"') == 2
    assert 'class="mark fault"' in text
    assert ">critical</th>" in text
    table = get(admin, "metrics", "?range=15m&chart=erip_disk_free_bytes&table=erip_disk_free_bytes").content.decode()
    assert table.count("55.9 GiB") > 50


def test_an_address_that_cannot_be_read_is_named_and_something_is_shown(admin: Client, frames: datetime) -> None:
    answer = get(admin, "metrics", "?range=1e9&end=yesterday&chart=no_such_metric&chart=erip_disk_free_bytes")
    text = answer.content.decode()
    assert answer.status_code == 400
    assert text.count('class="fault"') == 3
    assert text.count('class="chart"') == 1


def test_no_address_breaks_a_page(admin: Client, frames: datetime) -> None:
    path = reverse("console:metrics")
    odd = ["~", "~~a", "a~b,c", "9" * 5000, "erip_disk_free_bytes~" + "a," * 50, *hostile.URL_TEXTS]
    keys = ("range", "end", "chart", "add", "table", "part")
    for number, text in enumerate(one for one in odd if one.isascii()):
        # One chart is quick, and an odd one beside it is as odd.
        address = f"{path}?chart=erip_disk_free_bytes&{keys[number % 6]}={text}"
        assert admin.get(address).status_code in (200, 400), address
    for text in hostile.TIMES[::2]:
        assert admin.get(path, {"end": text, "chart": "erip_disk_free_bytes"}).status_code in (200, 400), text
    for number in (0, 1, 10**17):
        assert admin.get(f"/console/alerts/{number}").status_code == 404
    assert admin.get("/console/alerts/99999999999999999999").status_code == 404


def test_every_range_is_read_within_its_bounds(admin: Client, frames: datetime) -> None:
    for one in (*metrics.RANGES, "400d"):
        assert get(admin, "metrics", f"?range={one}").status_code == 200


# --- the forms --------------------------------------------------------------------------------------------


def test_a_form_of_another_site_changes_nothing() -> None:
    alert = fired()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("root", password="a-long-password"), backend=BACKEND)
    assert strict.post(reverse("console:acknowledge", args=[alert.id])).status_code == 403
    assert strict.post(reverse("console:silence"), {"rule": "x", "reason": "x", "length": "1h"}).status_code == 403
    assert Alert.objects.get().acknowledged_at is None
    # The button in the list belongs to a form with a token, which stands outside of what is live.
    found = read(strict.get(reverse("console:alerts")))
    (form,) = (one for tag, one in found if tag == "form" and one.get("id") == "act")
    (button,) = (one for tag, one in found if tag == "button" and one.get("form") == form["id"])
    token = next(one["value"] for tag, one in found if one.get("name") == "csrfmiddlewaretoken")
    assert strict.post(button["formaction"], {"csrfmiddlewaretoken": token}).status_code == 303
    assert Alert.objects.get().acknowledged_by == "user:root"


def test_acknowledging_is_said_once_and_a_second_one_is_told_so(admin: Client) -> None:
    alert = fired()
    url = reverse("console:acknowledge", args=[alert.id])
    answer = admin.post(url, {"note": "  on it  "}, follow=True)
    assert "You have it" in answer.content.decode()
    assert "on it" in answer.content.decode()
    assert Alert.objects.get().note == "on it"
    again = admin.post(url, {"note": "me too"}, follow=True)
    assert "Somebody has acknowledged it already" in again.content.decode()
    assert Alert.objects.get().note == "on it"
    assert "You have it" not in get(admin, "alerts").content.decode()
    assert admin.post(reverse("console:acknowledge", args=[99])).status_code == 404
    assert admin.get(url).status_code == 405


def test_a_silence_is_made_shown_and_ended(admin: Client) -> None:
    fired()
    given = {"rule": "redis-down", "labels": "", "reason": "an upgrade", "length": "1h"}
    text = admin.post(reverse("console:silence"), given, follow=True).content.decode()
    assert "Silent until" in text
    assert "an upgrade" in text
    assert "· silenced" in text
    made = Silence.objects.get()
    assert timedelta(minutes=59) < made.ends_at - datetime.now(UTC) <= timedelta(hours=1)
    assert "Redis does not serve" not in get(admin, "home").content.decode()
    text = admin.post(reverse("console:end-silence", args=[made.id]), follow=True).content.decode()
    assert "The silence has ended" in text
    assert listing.silences() == []
    text = admin.post(reverse("console:end-silence", args=[made.id]), follow=True).content.decode()
    assert "had ended already" in text


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 3),
        ({"rule": "x", "reason": "x", "length": "31d"}, 1),
        ({"rule": "x" * 64, "reason": "x" * 501, "length": "-1h"}, 3),
        ({"labels": "no sign\nbad-name=1\nok=2", "reason": "x", "length": "1h"}, 2),
        ({"rule": "a\0b", "reason": "x", "length": "1h"}, 1),
        ({"rule": "x", "reason": "x", "length": "9" * 400 + "d"}, 1),
        ({"labels": "\n".join(f"a{n}=1" for n in range(11)), "reason": "x", "length": "1h"}, 1),
    ],
)
def test_a_silence_with_faults_names_them_all_and_keeps_what_was_typed(
    admin: Client, given: dict[str, str], count: int
) -> None:
    answer = admin.post(reverse("console:silence"), given)
    assert answer.status_code == 422
    text = answer.content.decode()
    faults = text.partition('role="alert"')[2].partition("</ul>")[0]
    assert faults.count("<li>") == count, faults
    assert Silence.objects.count() == 0
    if given.get("labels"):
        assert given["labels"].splitlines()[0] in text


# --- errors -----------------------------------------------------------------------------------------------


def group(number: int = 1, **more: Any) -> ErrorGroup:
    now = datetime.now(UTC)
    given = {
        "fingerprint": f"{number:032}", "source": "attempt", "what": "some.step", "title": f"KeyError {number}",
        "why": [["code", "step_failed"]], "state": "open", "count": 1_234, "first_seen": now,
        "last_seen": now - timedelta(seconds=number), "first_release": "1", "last_release": "2", "links": [],
    }  # fmt: skip
    return ErrorGroup.objects.create(**{**given, **more})


def test_errors_are_listed_by_state_searched_and_turned_over(admin: Client) -> None:
    for number in range(errors.LINES + 2):
        group(number)
    group(100, state="ignored", title="Nobody hears of it")
    group(101, regression=True, regressed_at=datetime.now(UTC), title="It is back")
    ErrorCount.objects.create(
        group_id=ErrorGroup.objects.get(title="KeyError 0").id, tier=3_600, count=7,
        at=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
    )  # fmt: skip
    text = get(admin, "errors").content.decode()
    assert text.count('class="hours"') == errors.LINES
    assert "7 in the last 24 hours" in text
    assert "Nobody hears of it" not in text
    following = re.findall(r'<a href="([^"]+before=[^"]+)">Older', text)[0].replace("&amp;", "&")
    second = admin.get(following).content.decode()
    assert second.count('class="hours"') == 3
    assert "Nobody hears of it" in get(admin, "errors", "?state=ignored").content.decode()
    assert get(admin, "errors", "?state=regression").content.decode().count('class="hours"') == 1
    assert get(admin, "errors", "?state=any&text=ERROR%2031").content.decode().count('class="hours"') == 1
    assert "Back again: It is back" in get(admin, "home").content.decode()
    for odd in ("x", "|", "2026-01-01|1", "2026-01-01T00:00:00Z|x", "0001-01-01T00:00:00Z|1", "9999-12-31T23:59:59Z|9"):
        for key in ("before", "state", "text"):
            assert admin.get(reverse("console:errors"), {key: odd + "\0"}).status_code == 200


def test_what_is_decided_about_an_error_has_a_reason_and_is_decided_once(admin: Client) -> None:
    one = group(traceback="Traceback <script>")
    shown = get_error(admin, one)
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    for name, state in (("resolve", "resolved"), ("ignore", "ignored"), ("reopen", "open")):
        url = reverse(f"console:{name}-error", args=[one.id])
        said = admin.post(url, {"reason": " "}, follow=True).content.decode()
        assert "say why" in said
        said = admin.post(url, {"reason": "because", "release": "2.1"}, follow=True).content.decode()
        assert "because" in said
        assert ErrorGroup.objects.get().state == state
        assert "somebody has decided so already" in admin.post(url, {"reason": "x"}, follow=True).content.decode()
    assert ErrorGroup.objects.get().changed_by == "user:ada"
    reader = staff("monitoring.view_errorgroup", name="bob")
    assert reader.post(reverse("console:resolve-error", args=[one.id]), {"reason": "x"}).status_code == 403
    assert "Decide" not in get_error(reader, one)
    assert admin.get("/console/errors/999").status_code == 404
    assert admin.post(reverse("console:ignore-error", args=[999]), {"reason": "x"}).status_code == 404


def get_error(client: Client, one: ErrorGroup) -> str:
    return client.get(reverse("console:error", args=[one.id])).content.decode()


def test_the_theme_is_kept_and_leads_nowhere_else(admin: Client) -> None:
    answer = admin.post(reverse("console:theme"), {"theme": "dark", "back": "/console/health"})
    assert (answer.status_code, answer["Location"]) == (303, "/console/health")
    assert 'data-theme="dark"' in get(admin, "home").content.decode()
    for back in ("https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil"):
        assert admin.post(reverse("console:theme"), {"theme": "x", "back": back})["Location"] == "/console/"
    assert 'data-theme="dark"' in get(admin, "home").content.decode()
