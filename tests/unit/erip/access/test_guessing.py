"""API keys that open nothing, by address: with a clock that the test moves."""

import asyncio

import pytest

from erip.access import keys
from erip.access.guessing import BURST, EVERY, WrongKeys

HERE, THERE = "192.0.2.7", "198.51.100.9"
WRONG = b"Bearer erip_00000000_" + b"a" * 40


class Site:
    """Answers 401 to every key but the good ones; `looked` counts how often it was asked."""

    def __init__(self) -> None:
        self.now, self.looked = 0.0, 0
        self.good: set[bytes] = set()
        self.door = WrongKeys(self._app, clock=lambda: self.now)

    async def _app(self, scope, receive, send):
        self.looked += 1
        status = 200 if dict(scope["headers"]).get(b"authorization", b"") in self.good else 401
        await send({"type": "http.response.start", "status": status, "headers": []})

    def ask(self, key: bytes | None = WRONG, address: str = HERE) -> int:
        answers = []

        async def send(message):
            answers.append(message)

        headers = [(b"authorization", key)] if key is not None else []
        scope = {"type": "http", "path": "/", "client": (address, 1), "headers": headers}
        asyncio.run(self.door(scope, None, send))
        return answers[0]["status"]


@pytest.fixture
def site(monkeypatch) -> Site:
    monkeypatch.setattr(keys, "remembered", lambda token, address="": None)
    return Site()


def test_an_address_has_a_number_of_wrong_keys_and_then_one_every_few_seconds(site):
    assert [site.ask() for _ in range(BURST + 3)] == [401] * BURST + [429] * 3
    assert site.looked == BURST
    site.now += EVERY
    assert [site.ask() for _ in range(2)] == [401, 429]
    site.now += 3_600
    assert [site.ask() for _ in range(BURST + 1)] == [401] * BURST + [429]


def test_other_addresses_and_callers_without_a_key_do_not_notice(site):
    for _ in range(BURST + 3):
        site.ask()

    assert site.ask(address=THERE) == 401
    assert site.ask(key=None) == 401
    assert site.ask(key=b"Basic YTpi") == 401


def test_a_good_key_costs_nothing(site):
    site.good = {b"Bearer good"}
    for _ in range(BURST - 1):
        site.ask()

    assert [site.ask(key=b"Bearer good") for _ in range(50)] == [200] * 50
    assert [site.ask() for _ in range(2)] == [401, 429]


def test_a_site_of_ipv6_is_one_address(site):
    for number in range(BURST):
        site.ask(address=f"2001:db8::{number:x}")

    assert site.ask(address="2001:db8::ffff") == 429


def test_a_key_of_some_networks_is_known_to_be_good_there(site, monkeypatch):
    monkeypatch.setattr(keys, "remembered", lambda token, address="": "ci" if address == HERE else None)
    site.good = {b"Bearer good"}
    assert site.ask(key=b"Bearer good") == 200
    for _ in range(BURST + 3):
        site.ask()

    assert [site.ask(key=b"Bearer good"), site.ask()] == [200, 429]
