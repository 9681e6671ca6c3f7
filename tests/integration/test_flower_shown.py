"""Flower behind the platform's own sign-in: who sees it, what reaches it, and what its pages may do in a browser."""

import base64
import hashlib
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import resolve

from console import flower as way
from console.core.flower import SWITCH
from console.viewers import viewers
from erip.access.models import Grant, Space
from erip.ops.deploy.circles import WEBS, Circles
from erip.ops.deploy.identity import identity
from erip.ops.stack import monitor, services
from erip.ops.stack.ports import LOOPBACK, any_free
from erip.ops.stack.processes import wait_until
from erip.ops.stack.servers import private_servers
from erip.ops.stack.state import ROOT

pytestmark = pytest.mark.django_db
LOGIN = "erip:only-web-knows-it"
BACKEND = "django.contrib.auth.backends.ModelBackend"
PATHS = ["", "workers", "tasks", "broker", "static/js/flower.js", "worker/none@here", "task/none"]


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the certificates of Flower and of the web processes."""
    circles, folder = Circles(tmp_path_factory.mktemp("ca")), tmp_path_factory.mktemp("tls")
    circles.of_flower(folder, "flower", LOOPBACK)
    circles.of_flowers_webs(folder)
    return folder


@pytest.fixture(scope="module")
def running(circle: Path) -> Iterator[str]:
    """Flower itself, which speaks TLS 1.3 with holders of a certificate of its circle alone."""
    with private_servers(postgres=False, logins={"flower": "of-flower"}) as (_, broker):
        tls = services.Tls(identity(circle, "flower"), identity(circle, WEBS))
        known = services.Monitor(broker.kind.url_of("flower"), LOGIN)
        service = services.flower("flower", any_free(), known, tls=tls)
        process = subprocess.Popen(service.command, env=service.env, cwd=ROOT)
        try:
            yield str(service.url)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def shown(running: str, circle: Path, settings: Any) -> str:
    """The platform shows it."""
    for name, value in services.shown_flower(running, LOGIN, identity(circle, WEBS)).items():
        setattr(settings, name, value)

    def answers() -> bool:
        try:
            return way.ask("/flower/", {}).status == 200
        except way.FlowerAway:
            return False

    assert wait_until(answers, 60)
    return running


@pytest.fixture(autouse=True)
def nobody_is_known_yet() -> Iterator[None]:
    viewers.forget()
    yield
    viewers.forget()


def browser(*permissions: str, **more: Any) -> Client:
    member = User.objects.create_user("ada", password="a-long-password", is_staff=True, **more)
    names = [one.partition(".")[2] for one in permissions]
    member.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client(raise_request_exception=False)
    client.force_login(member, backend=BACKEND)
    return client


def looker() -> Client:
    return browser("monitoring.view_flower")


# --- who comes in -----------------------------------------------------------------------------------------


def test_nobody_is_sent_to_sign_in_and_a_script_is_told_so(shown: str) -> None:
    for path in PATHS:
        answer = Client().get(f"/flower/{path}", {"q": "1"})
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"/admin/login/?next=/flower/{path.replace('@', '%40')}%3Fq%3D1", path
    for path in ("tasks/datatable", "workers?json=1"):
        assert Client().get(f"/flower/{path}").status_code == 401
    assert Client().get("/flower").headers["Location"] == "/flower/"


def test_flowers_own_login_opens_nothing_to_people(shown: str) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(LOGIN.encode()).decode()}
    assert Client().get("/flower/", headers=basic).status_code == 302


def test_who_has_not_its_permission_is_refused_on_every_path(shown: str) -> None:
    everything_else = [
        f"x.{name}" for name in Permission.objects.exclude(codename="view_flower").values_list("codename", flat=True)
    ]
    client = browser(*everything_else)
    assert {client.get(f"/flower/{path}").status_code for path in [*PATHS, "api/tasks", ".."]} == {403}
    assert "monitoring.view_flower" in client.get("/flower/").content.decode()


def test_a_role_in_a_space_alone_does_not_open_it_and_everywhere_does(shown: str) -> None:
    client = browser()
    ada = User.objects.get(username="ada")
    Space.objects.create(name="unit")
    given = Grant.objects.create(user=ada, role="operator", space="unit")
    viewers.forget()
    assert client.get("/flower/").status_code == 403
    given.delete()
    Grant.objects.create(user=ada, role="operator")
    viewers.forget()
    assert client.get("/flower/").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_it_can_only_be_read(shown: str, method: str) -> None:
    client = browser(is_superuser=True)
    for path in ("", "tasks/datatable", "api/worker/shutdown/x", "static/js/flower.js"):
        assert client.generic(method, f"/flower/{path}").status_code == 405


# --- what is shown ----------------------------------------------------------------------------------------


def test_its_pages_and_files_are_shown(shown: str) -> None:
    client = looker()
    for path in ("", "workers", "tasks", "broker"):
        page = client.get(f"/flower/{path}")
        assert page.status_code == 200, path
        assert page.headers["Content-Type"] == "text/html; charset=UTF-8"
        for address in re.findall(r'(?:src|href)="(/[^"]+)"', page.content.decode()):
            assert address.startswith("/flower/"), address
            assert client.get(address).status_code == 200, address
        head = client.head(f"/flower/{path}")
        assert (head.status_code, head.content) == (200, b"")
    assert client.get("/flower/worker/none@here").status_code == 404
    assert client.get("/flower/workers?json=1").json() == {"data": []}
    query = "draw=1&start=0&length=15&search%5Bvalue%5D=&order%5B0%5D%5Bcolumn%5D=0&order%5B0%5D%5Bdir%5D=asc"
    assert client.get(f"/flower/tasks/datatable?{query}&columns%5B0%5D%5Bdata%5D=name").json()["data"] == []
    file = client.get("/flower/static/js/flower.js")
    again = client.get("/flower/static/js/flower.js", headers={"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_browser_runs_what_is_flowers_and_nothing_beyond(shown: str) -> None:
    page = looker().get("/flower/workers")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["script-src"].split() == ["testserver/flower/static/", SWITCH]
    assert policy["connect-src"] == "testserver/flower/"
    inline = re.findall(r"<script[^>]*>([^<]+)</script>", page.content.decode())
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in inline}
    assert hashes == {SWITCH}, "the script within the page of this release of Flower is another one"
    assert page.headers["X-Frame-Options"] == "DENY"
    elsewhere = looker_of_console().headers["Content-Security-Policy"]
    assert "flower" not in elsewhere
    assert "sha256" not in elsewhere


def looker_of_console() -> Any:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="a-long-password"), backend=BACKEND)
    return client.get("/console/")


HOSTILE = [
    "..",
    "../admin/",
    "%2e%2e/",
    "worker/..%2f..%2fapi",
    "worker/%252e%252e",
    "static/..%2f..%2fetc/passwd",
    "static/%2e%2e",
    "http://example.org/",
    "//example.org/",
    "@example.org/",
    "worker/a%00",
    "worker/a%0d%0aX:y",
    "worker/%ff",
    "metrics",
    "healthcheck",
    "api/tasks",
    "api/workers?refresh=1",
    "logout",
    "flower/",
    "worker/" + "a" * 3000,
    "%5c%5cexample.org",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_address_leads_anywhere_else(shown: str, path: str) -> None:
    assert looker().get(f"/flower/{path}").status_code in (400, 404)


# --- what passes ------------------------------------------------------------------------------------------


class Strange(BaseHTTPRequestHandler):
    """In place of Flower: says what it was asked, and answers what the test wants."""

    asked: ClassVar[list[tuple[str, str, dict[str, str]]]] = []
    answer: ClassVar[tuple[int, dict[str, str], bytes]] = (200, {}, b"")

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def strange(settings: Any) -> Iterator[type[Strange]]:
    server = ThreadingHTTPServer((LOOPBACK, 0), Strange)
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    Strange.asked.clear()
    settings.ERIP_FLOWER_URL, settings.ERIP_FLOWER_LOGIN = f"http://{LOOPBACK}:{server.server_port}/", LOGIN
    settings.ERIP_FLOWER_CA = settings.ERIP_FLOWER_WEB_CERTIFICATE = ""
    yield Strange
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_only_chosen_headers_pass_and_no_credentials_of_people(strange: type[Strange]) -> None:
    told = {"Set-Cookie": "sessionid=taken", "Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"}
    told |= {
        "Location": "https://example.org/",
        "Content-Security-Policy": "default-src *",
        "X-Own": "1",
        "ETag": '"e"',
    }
    strange.answer = (200, told, b"text")
    client = looker()
    sent = {
        "Authorization": "Bearer of-a-person",
        "X-Forwarded-For": "192.0.2.1",
        "Accept": "text/html",
        "Range": "bytes=0-1",
    }
    for _ in range(2):
        answer = client.get("/flower/workers?json=1", headers=sent)
    assert answer.content == b"text"
    assert not answer.cookies
    assert not {"Access-Control-Allow-Origin", "Location", "X-Own"} & set(answer.headers)
    assert "default-src *" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "private, no-cache"
    for method, path, headers in strange.asked:
        assert (method, path) == ("GET", "/flower/workers?json=1")
        assert headers["authorization"] == "Basic " + base64.b64encode(LOGIN.encode()).decode()
        assert headers["accept"] == "text/html"
        assert not {"cookie", "x-forwarded-for", "range", "referer", "origin"} & set(headers)
    assert len(strange.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        (302, {"Location": "https://example.org/"}, b""),
        (401, {"WWW-Authenticate": "Basic"}, b"no"),
        (500, {}, b"Traceback: a secret"),
        (200, {"Content-Encoding": "gzip"}, b"x"),
        (200, {}, b"x" * (way.MOST_BYTES + 1)),
        (200, {"Content-Length": "100"}, b"cut off"),
    ],
    ids=["redirect", "login", "failure", "encoded", "too large", "cut off"],
)
def test_what_is_no_answer_of_flowers_is_not_passed_on(strange: type[Strange], answer: Any) -> None:
    strange.answer = answer
    said = looker().get("/flower/")
    assert said.status_code == 503
    assert "does not answer at the moment" in said.content.decode()
    assert not {"Location", "WWW-Authenticate"} & set(said.headers)
    assert b"secret" not in said.content


def test_without_flower_the_page_says_so(settings: Any) -> None:
    client = looker()
    settings.ERIP_FLOWER_URL = ""
    answer = client.get("/flower/")
    assert (answer.status_code, "is not set up here" in answer.content.decode()) == (503, True)
    settings.ERIP_FLOWER_URL, settings.ERIP_FLOWER_LOGIN = f"http://{LOOPBACK}:{any_free()}", LOGIN
    answer = client.get("/flower/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "does not answer at the moment" in answer.content.decode()


def test_who_has_no_certificate_is_refused_by_flower(shown: str, settings: Any) -> None:
    settings.ERIP_FLOWER_WEB_CERTIFICATE = ""
    with pytest.raises(way.FlowerAway):
        way.ask("/flower/", {})


def test_all_name_the_same_place() -> None:
    assert f"/{monitor.PREFIX}/" == services.FLOWER_AT
    assert resolve(services.FLOWER_AT).view_name == "flower:page"
