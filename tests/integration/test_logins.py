"""Signing in to the admin: guesses are slowed by account, address and network, and no attacker can lock an owner out.

Some of it through HAProxy, with the file that is rendered for it, before the real ASGI application: the balancer's
address is nobody's.
"""

import http.client
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test import Client

from erip.access import keys, slowing
from erip.access.models import LoginCounter, LoginPlace
from erip.access.scopes import Scope
from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.nodes import Address, PostgresPeer
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.ports import any_free
from tests.support.programs import needs
from tests.support.server import serving
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a-long-password"
HERE, THERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def _owner() -> None:
    User.objects.create_superuser("root", password=PASSWORD)


def attempt(client: Client, address: str = HERE, password: str = "wrong", username: str = "root") -> int:
    said = {"username": username, "password": password}
    return client.post("/admin/login/", said, REMOTE_ADDR=address).status_code


def later(**span: float) -> None:
    """As if this time had passed."""
    gone = timedelta(**span)
    LoginCounter.objects.update(at=F("at") - gone, free_at=F("free_at") - gone)


def test_five_guesses_are_free_and_each_further_one_doubles_the_pause():
    client = Client()

    assert [attempt(client) for _ in range(6)] == [200] * 5 + [429]
    answer = client.post("/admin/login/", {"username": "root", "password": PASSWORD}, REMOTE_ADDR=HERE)
    assert answer.status_code == 429
    assert 55 <= int(answer["Retry-After"]) <= 60
    assert "Too many attempts failed. Try again in" in answer.content.decode()
    pauses = []
    for _ in range(4):
        later(seconds=pauses[-1] if pauses else 60)
        assert attempt(client) == 200
        answer = client.post("/admin/login/", {"username": "root", "password": "x"}, REMOTE_ADDR=HERE)
        pauses.append(int(answer["Retry-After"]))
    assert [round(pause, -1) for pause in pauses] == [120, 240, 480, 960]
    later(seconds=pauses[-1])
    assert attempt(client, password=PASSWORD) == 302


def test_what_was_not_let_through_is_not_counted():
    client = Client()
    for _ in range(50):
        attempt(client)
    later(seconds=61)

    assert attempt(client, password=PASSWORD) == 302


def test_a_stranger_keeps_no_owner_out_wherever_either_comes_from():
    stranger = Client()
    for _ in range(30):
        attempt(stranger)

    assert attempt(stranger) == 429
    assert attempt(Client(), address=THERE, password=PASSWORD) == 302


def test_the_owner_is_recognised_by_the_browser_at_an_address_where_others_guess():
    owner, stranger = Client(), Client()
    assert attempt(owner, address=THERE, password=PASSWORD) == 302
    owner.post("/admin/logout/")
    for number in range(30):
        attempt(stranger, username=f"user {number}")
        attempt(stranger)

    assert attempt(stranger) == 429
    assert attempt(owner, password="mistyped") == 200
    assert attempt(owner, password=PASSWORD) == 302


def test_the_owner_is_recognised_by_the_address_without_the_cookie():
    assert attempt(Client(), password=PASSWORD) == 302
    stranger = Client()
    for number in range(30):
        attempt(stranger, username=f"user {number}")

    assert attempt(stranger, username="another") == 429
    assert attempt(Client(), password=PASSWORD) == 302


def test_the_address_of_an_owner_is_no_place_to_guess_from_for_ever():
    assert attempt(Client(), password=PASSWORD) == 302
    stranger = Client()
    answers = [attempt(stranger) for _ in range(40)]

    # The first pauses are short, and end while the test is still guessing.
    assert slowing.RECOGNISED.free <= answers.count(200) < len(answers) // 2
    later(seconds=31)
    assert attempt(Client(), password=PASSWORD) == 302


def test_the_browsers_cookie_is_for_one_account_and_ends_with_the_password():
    owner = Client()
    attempt(owner, address=THERE, password=PASSWORD)
    cookie = next(each for name, each in owner.cookies.items() if name.startswith("erip_device_"))
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/admin/login/"
    user = User.objects.get()
    user.set_password("another-long-password")
    user.save()
    LoginPlace.objects.all().delete()
    owner.post("/admin/logout/")

    assert [attempt(owner) for _ in range(6)] == [200] * 5 + [429]


def test_one_address_that_sprays_over_many_accounts_is_slowed():
    client = Client()
    answers = [attempt(client, username=f"user {number}") for number in range(25)]

    assert answers == [200] * 20 + [429] * 5


def test_a_network_that_sprays_is_slowed_and_its_neighbour_is_not():
    for number in range(100):
        assert attempt(Client(), address=f"192.0.2.{number}", username=f"user {number}") == 200

    assert attempt(Client(), address="192.0.2.200", username="another") == 429
    assert attempt(Client(), address="192.0.3.1", username="another") == 200


def test_a_site_of_ipv6_is_one_address():
    answers = [attempt(Client(), address=f"2001:db8::{number:x}", username=f"user {number}") for number in range(25)]

    assert answers == [200] * 20 + [429] * 5


def test_an_account_that_is_guessed_at_from_everywhere_leaves_each_new_address_one_attempt():
    for number in range(slowing.ACCOUNT.free):
        assert attempt(Client(), address=f"10.{number}.0.1") == 200

    stranger = Client()
    assert [attempt(stranger, address="10.200.0.1") for _ in range(2)] == [200, 429]
    assert attempt(Client(), address="10.201.0.1", password=PASSWORD) == 302


def test_another_case_of_the_name_is_the_same_account():
    client = Client()

    assert [attempt(client, username=name) for name in ("root", "Root", "ROOT", "rOOt", "roOt", "rooT")][-1] == 429


def test_names_that_nobody_has_are_slowed_as_others_are():
    client = Client()

    assert [attempt(client, username="nobody") for _ in range(6)] == [200] * 5 + [429]


def test_attempts_at_once_are_counted_before_their_passwords_are_looked_at():
    barrier, answers = threading.Barrier(12), []

    def guess() -> None:
        client = Client()
        barrier.wait()
        answers.append(attempt(client))
        connection.close()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200] * 5 + [429] * 7


def test_a_right_password_takes_back_its_own_attempt_and_no_other():
    client = Client()
    for number in range(19):
        attempt(client, username=f"user {number}")
    assert attempt(client, password=PASSWORD) == 302

    assert attempt(Client(), username="one more") == 200
    assert attempt(Client(), username="too many") == 429


def test_neither_names_nor_addresses_stand_in_the_tables():
    attempt(Client())
    attempt(Client(), password=PASSWORD)
    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM access_logincounter c UNION SELECT p::text FROM access_loginplace p")
        stored = " ".join(row[0] for row in cursor.fetchall())

    assert "root" not in stored
    assert HERE not in stored


def test_an_administrator_has_failures_forgotten(capsys):
    client = Client()
    for _ in range(6):
        attempt(client)
    call_command("forget_logins", "--username=root")
    assert attempt(client, password=PASSWORD) == 302

    for number in range(25):
        attempt(client, address=THERE, username=f"user {number}")
    call_command("forget_logins")
    assert attempt(client, address=THERE, username="another") == 200


@pytest.mark.parametrize("name", ["\x00", "x" * 5_000, "\ud800", "é" * 150])
def test_no_name_is_an_error_of_ours(name):
    body = urlencode({"username": name.encode("utf-8", "surrogatepass"), "password": "x"})
    client = Client(raise_request_exception=False)

    answer = client.post("/admin/login/", body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200


# --- through the balancer


@contextmanager
def balanced(folder: Path, url: str) -> Iterator[str]:
    """HAProxy in front of one web process."""
    web_port, rw, ro = any_free(), any_free(), any_free()
    parts = urlsplit(url)
    webs = [Address("web-1", "127.0.0.1", parts.port or 0)]
    nowhere = [PostgresPeer("postgres-1", "127.0.0.1", any_free(), any_free())]
    file = folder / "haproxy.cfg"
    file.write_text(Balancer(webs, nowhere, web_port, rw, ro, Rules(maxconn_all=500)).render())
    program = shutil.which("haproxy", path=SYSTEM_FOLDERS)
    assert program
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([program, "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        site = f"http://127.0.0.1:{web_port}"
        until(lambda: Browser(site).get("/health/live") == 200, what="the balancer serves")
        yield site
    finally:
        process.terminate()
        process.wait(10)


class Browser:
    """A browser at one of the loopback addresses, with its own cookies. `headers` are sent with each request."""

    def __init__(self, url: str, address: str = "127.0.0.2", **headers: str) -> None:
        self.netloc, self.address = urlsplit(url).netloc, address
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.cookies: dict[str, str] = {}
        self.body = ""

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> int:
        link = http.client.HTTPConnection(self.netloc, timeout=20, source_address=(self.address, 0))
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        try:
            link.request(method, path, body, {**self.headers, **(cookies if self.cookies else {}), **headers})
            answer = link.getresponse()
            self.body = answer.read().decode()
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    key, _, rest = value.partition("=")
                    self.cookies[key] = rest.partition(";")[0]
            return answer.status
        except OSError:
            return 0
        finally:
            link.close()

    def get(self, path: str) -> int:
        return self.request("GET", path)

    def sign_in(self, password: str, username: str = "root") -> int:
        assert self.get("/admin/login/") == 200
        token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', self.body)
        assert token
        said = {"username": username, "password": password, "csrfmiddlewaretoken": token[1]}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", "/admin/login/", urlencode(said), **kind)


@needs("haproxy")
def test_behind_the_balancer_the_address_that_counts_is_the_clients_own(tmp_path, settings):
    settings.ERIP_TRUSTED_PROXIES = ["127.0.0.1"]
    with serving() as url, balanced(tmp_path, url) as site:
        attacker = Browser(site, "127.0.0.66")
        guesses = [attacker.sign_in("wrong") for _ in range(7)]
        # What a client itself writes into the header changes nothing.
        spoofed = [Browser(site, "127.0.0.66", X_Forwarded_For=f"192.0.2.{n}").sign_in("wrong") for n in range(3)]

        assert guesses == [200] * 5 + [429] * 2
        assert spoofed == [429] * 3
        owner = Browser(site, "127.0.0.2")
        assert owner.sign_in(PASSWORD) == 302
        assert owner.get("/admin/") == 200


@needs("haproxy")
def test_wrong_keys_are_slowed_by_the_clients_address_and_good_keys_are_not(tmp_path, settings):
    settings.ERIP_TRUSTED_PROXIES = ["127.0.0.1"]
    good = {"Authorization": f"Bearer {keys.create(name='good', scope=Scope.VIEWER).token}"}
    fresh = {"Authorization": f"Bearer {keys.create(name='fresh', scope=Scope.VIEWER).token}"}
    wrong = [{"Authorization": f"Bearer erip_{number:08d}_{'a' * 40}"} for number in range(60)]
    with serving() as url, balanced(tmp_path, url) as site:
        client = Browser(site, "127.0.0.66")
        assert client.request("GET", "/api/v1/runs", **good) == 200

        statuses = [client.request("GET", "/api/v1/runs", **each) for each in wrong]
        assert set(statuses) == {401, 429}
        assert 20 <= statuses.count(401) <= 30
        assert statuses[-1] == 429
        assert client.request("GET", "/api/v1/runs", **good) == 200
        assert client.request("POST", "/api/v1/events", "{}", **wrong[0]) == 429
        assert client.request("GET", "/api/v1/events/stream", **wrong[0]) == 429
        # Other addresses are not affected. A key not yet read by this process works once wrong keys give 401 again.
        assert Browser(site, "127.0.0.2").request("GET", "/api/v1/runs", **wrong[0]) == 401
        until(lambda: client.request("GET", "/api/v1/runs", **fresh) == 200, what="the fresh key is let in")
