"""How many requests a key may send, with a clock that the test moves."""

import asyncio

import pytest
from django.utils import timezone

from erip.access import keys
from erip.access.models import ApiKey
from erip.access.rates import KeyRates
from erip.access.scopes import Scope

SECRET = "s" * 40
KEY = f"erip_abcdefgh_{SECRET}"


class Site:
    def __init__(self) -> None:
        self.now = 0.0
        self.door = KeyRates(self._app, clock=lambda: self.now)
        self.headers: dict[bytes, bytes] = {}

    async def _app(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def ask(self, key: str = KEY) -> int:
        answers = []

        async def send(message):
            answers.append(message)

        scope = {"type": "http", "path": "/", "headers": [(b"authorization", f"Bearer {key}".encode())]}
        asyncio.run(self.door(scope, None, send))
        self.headers = dict(answers[0]["headers"])
        return answers[0]["status"]


def know(rate: int | None) -> None:
    row = ApiKey(name="ci", prefix="abcdefgh", digest=keys.digest_of(SECRET), scope=Scope.OPERATOR, rate=rate)
    row.last_used_at = timezone.now()
    keys.remember(row)


@pytest.fixture
def site():
    yield Site()
    keys.forget_cached()


def test_a_key_sends_its_rate_and_then_one_more_whenever_its_time_has_come(site):
    know(rate=6)
    assert [site.ask() for _ in range(8)] == [200] * 6 + [429] * 2
    assert site.headers[b"retry-after"] == b"10"
    site.now += 10
    assert [site.ask() for _ in range(2)] == [200, 429]
    site.now += 3_600
    assert [site.ask() for _ in range(7)] == [200] * 6 + [429]


def test_a_key_without_a_rate_and_one_that_is_not_known_are_let_through(site):
    assert [site.ask() for _ in range(50)] == [200] * 50
    know(rate=None)
    assert [site.ask() for _ in range(50)] == [200] * 50


def test_nobody_uses_up_somebody_elses_rate(site):
    know(rate=3)
    assert [site.ask(f"erip_abcdefgh_{'x' * 40}") for _ in range(50)] == [200] * 50
    assert [site.ask() for _ in range(4)] == [200] * 3 + [429]
