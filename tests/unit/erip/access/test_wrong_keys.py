"""Wrong keys are limited by address, and a good one from the same address is not kept out by them."""

import asyncio

import pytest
from django.utils import timezone

from erip.access import keys
from erip.access.guessing import BURST, EVERY, WrongKeys
from erip.access.models import ApiKey
from erip.access.scopes import Scope

SECRET = "s" * 40
GOOD = f"erip_abcdefgh_{SECRET}"
ADDRESS = "192.0.2.7"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ask(clock):
    """Asks with a key; the status. The application lets in what it knows, after `keys` has read it."""

    async def application(scope, receive, send):
        bearer = dict(scope["headers"])[b"authorization"][7:].decode()
        if bearer == GOOD:
            know()
        status = 404 if scope["path"] == "/nowhere" else 200 if bearer == GOOD else 401
        await send({"type": "http.response.start", "status": status, "headers": []})

    door = WrongKeys(application, clock)

    def ask(bearer: str, path: str = "/api/v1/runs", address: str = ADDRESS) -> int:
        said = []

        async def send(message):
            said.append(message)

        headers = [(b"authorization", f"Bearer {bearer}".encode())]
        asyncio.run(door({"type": "http", "path": path, "client": (address, 1), "headers": headers}, None, send))
        return said[0]["status"]

    yield ask
    keys.forget_cached()


def know() -> None:
    row = ApiKey(name="ci", prefix="abcdefgh", digest=keys.digest_of(SECRET), scope=Scope.OPERATOR)
    row.last_used_at = timezone.now()
    keys.remember(row)


def wrong(number: int) -> str:
    return f"erip_abcdefgh_{number:040}"


def test_an_address_sends_a_few_wrong_keys_and_then_one_every_few_seconds(ask, clock):
    assert [ask(wrong(n)) for n in range(BURST + 3)] == [401] * BURST + [429] * 3
    assert ask(wrong(1), address="192.0.2.8") == 401
    clock.now += EVERY
    assert [ask(wrong(n)) for n in range(2)] == [401, 429]


def test_a_good_key_gets_through_long_after_it_was_read(ask):
    assert ask(GOOD) == 200
    for n in range(BURST + 3):
        ask(wrong(n))
    # What the process has read of a key is forgotten within seconds.
    keys.forget_cached()
    assert [ask(GOOD) for _ in range(5)] == [200] * 5
    assert ask(wrong(1)) == 429


def test_a_wrong_key_does_not_pass_for_a_good_one_where_no_key_is_needed(ask):
    for n in range(BURST + 3):
        ask(wrong(n))
    assert ask(wrong(99), "/nowhere") == 429
    assert ask(wrong(99), address="192.0.2.9", path="/nowhere") == 404
    assert ask(wrong(99)) == 429
