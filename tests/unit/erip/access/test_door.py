"""The front door, spoken to in ASGI itself: what of a body it reads, for whom and for how long."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from django.utils import timezone

from erip.access import callers, keys
from erip.access.models import ApiKey
from erip.access.scopes import Scope
from erip.foundation.http.bodies import BodyTooSlow, Memory, NoMemory, Pace, read_body
from erip.foundation.http.crowd import Crowd
from erip.foundation.http.door import FORM_LIMIT, LARGE_OF_ONE, Door
from erip.foundation.http.limits import PRINCIPAL, body_limit

LIMIT = 1024 * 1024
SECRET = "s" * 40
KEY = (b"authorization", b"Bearer erip_abcdefgh_" + SECRET.encode())


@pytest.fixture(autouse=True)
def known():
    """A key that this process has read just now."""
    row = ApiKey(name="ci", prefix="abcdefgh", digest=keys.digest_of(SECRET), scope=Scope.OPERATOR)
    row.last_used_at = timezone.now()
    keys.remember(row)
    yield
    keys.forget_cached()


class Application:
    """What the application behind the door was given."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.headers: dict[bytes, bytes] = {}
        self.principal = None

    async def __call__(self, scope, receive, send):
        message = await receive()
        self.body = message["body"]
        self.headers = dict(scope["headers"])
        self.principal = scope.get(PRINCIPAL)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Client:
    """Sends `chunks`, with `pause` seconds before each, and then no more than that."""

    def __init__(self, chunks: Sequence[bytes], *, pause: float = 0, ends: bool = True) -> None:
        self.left = list(chunks)
        self.pause = pause
        self.ends = ends
        self.answer: dict[bytes, bytes] = {}
        self.status = 0

    async def receive(self):
        await asyncio.sleep(self.pause)
        if not self.left and not self.ends:
            await asyncio.get_running_loop().create_future()
        body = self.left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self.left) or not self.ends}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.answer = message["status"], dict(message["headers"])


def ask(door: Door, client: Client, headers, path: str):
    scope = {"type": "http", "path": path, "headers": list(headers), "client": ("192.0.2.7", 1)}
    return door(scope, client.receive, client.send)


def send(headers, chunks, path: str = "/api/v1/runs", *, key=KEY, **how) -> tuple[Client, Application]:
    application, client = Application(), Client(chunks, **how)
    asyncio.run(ask(Door(application, callers), client, [*headers, *([key] if key else [])], path))
    return client, application


def declared(length: int) -> tuple[bytes, bytes]:
    return b"content-length", str(length).encode()


CHUNKED = (b"transfer-encoding", b"chunked")

# --- of a caller who is known -----------------------------------------------------------------------------


def test_a_declared_length_over_the_limit_is_refused_unread():
    client, application = send([declared(LIMIT + 1)], [b"x"])

    assert client.status == 413
    assert client.answer[b"connection"] == b"close"
    assert application.body is None
    assert client.left == [b"x"]


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes_in():
    chunk = b"x" * (LIMIT // 4)
    client, application = send([CHUNKED], [chunk] * 100)

    assert client.status == 413
    assert application.body is None
    assert len(client.left) == 95


def test_a_chunked_body_within_the_limit_gets_its_length():
    client, application = send([CHUNKED], [b'{"a"', b": 1}"])

    assert client.status == 200
    assert application.body == b'{"a": 1}'
    assert application.headers == {b"content-length": b"8", KEY[0]: KEY[1]}


def test_a_body_of_exactly_the_limit_passes():
    assert send([CHUNKED], [b"x" * LIMIT])[0].status == 200
    assert send([declared(LIMIT)], [b"x" * LIMIT])[0].status == 200


def test_the_caller_is_handed_on_with_a_body_that_was_there_at_once():
    _, application = send([declared(2)], [b"{}"])
    assert application.principal.name == "key:ci"
    _, application = send([declared(2)], [b"{", b"}"], pause=0.6)
    assert (application.body, application.principal) == (b"{}", None)


def test_a_body_that_drips_is_ended_and_one_that_keeps_the_pace_is_not(settings):
    settings.ERIP_BODY_GRACE_SECONDS, settings.ERIP_BODY_MIN_RATE = 0.3, 100.0
    client, application = send([declared(1000)], [b"x"] * 1000, pause=0.05)
    assert (client.status, client.answer[b"connection"], application.body) == (408, b"close", None)
    client, _ = send([declared(400)], [b"x" * 20] * 20, pause=0.05)
    assert client.status == 200


def test_a_body_whose_time_is_up_is_ended_also_if_the_server_forgets_the_cancellation(settings):
    """As `asyncio.wait_for` of Python 3.11 does when some bytes come in at that very moment."""
    settings.ERIP_BODY_GRACE_SECONDS, settings.ERIP_BODY_MIN_RATE = 0.1, 100.0
    client, application = Client([b"x"] * 10, ends=False), Application()

    async def receive():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return {"type": "http.request", "body": client.left.pop(0), "more_body": True}

    client.receive = receive
    asyncio.run(ask(Door(application, callers), client, [declared(1000), KEY], "/api/v1/runs"))
    assert (client.status, client.answer[b"connection"], application.body) == (408, b"close", None)
    assert len(client.left) == 9


def test_a_client_that_the_server_does_not_wait_for_any_more_is_answered():
    client, application = Client([]), Application()

    async def receive():
        return {"type": "http.disconnect"}

    client.receive = receive
    asyncio.run(ask(Door(application, callers), client, [declared(1000), KEY], "/api/v1/runs"))
    assert (client.status, client.answer[b"connection"], application.body) == (408, b"close", None)


def test_a_body_that_never_ends_is_ended(settings):
    settings.ERIP_BODY_GRACE_SECONDS, settings.ERIP_BODY_SECONDS = 0.2, 0.5
    client, _ = send([CHUNKED], [b"x" * 100_000], ends=False)
    assert client.status == 408


def test_what_all_bodies_hold_is_bounded_and_given_back(settings):
    settings.ERIP_BODY_MEMORY = 4 * LIMIT
    inside = asyncio.Semaphore(0)
    most = 0

    async def main():
        nonlocal most
        go_on = asyncio.Event()

        async def application(scope, receive, send):
            await receive()
            inside.release()
            await go_on.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        door = Door(application, callers)
        clients = [Client([b"x" * LIMIT]) for _ in range(6)]
        asked = [asyncio.create_task(ask(door, one, [declared(LIMIT), KEY], "/api/v1/runs")) for one in clients]
        for _ in range(2):
            await inside.acquire()
        await asyncio.sleep(0.05)
        most = door._memory.used
        go_on.set()
        await asyncio.gather(*asked)
        assert door._memory.used == 0
        return sorted(one.status for one in clients)

    # One caller has half of it.
    assert asyncio.run(main()) == [200, 200, 503, 503, 503, 503]
    assert most == 2 * LIMIT


def test_only_what_came_in_counts_and_not_what_was_announced(settings):
    settings.ERIP_BODY_MEMORY = 4 * LIMIT

    async def main():
        door = Door(Application(), callers)
        drips = [Client([b"x"], ends=False) for _ in range(20)]
        asked = [asyncio.create_task(ask(door, one, [declared(LIMIT), KEY], "/api/v1/runs")) for one in drips]
        await asyncio.sleep(0.05)
        good = Client([b"x" * LIMIT])
        await ask(door, good, [declared(LIMIT), KEY], "/api/v1/runs")
        for one in asked:
            one.cancel()
        return good.status

    assert asyncio.run(main()) == 200


def test_large_bodies_of_one_caller_that_drip_displace_each_other():
    async def main():
        door = Door(Application(), callers)
        drips = [Client([b"x"], ends=False) for _ in range(LARGE_OF_ONE + 8)]
        asked = [asyncio.create_task(ask(door, one, [declared(100_000), KEY], "/api/v1/runs")) for one in drips]
        await asyncio.sleep(0.05)
        good = Client([b"x" * 50_000, b"y" * 50_000], pause=0.01)
        await ask(door, good, [declared(100_000), KEY], "/api/v1/runs")
        left = [one for one in asked if not one.done()]
        for one in asked:
            one.cancel()
        return good.status, len(left), [one.status for one in drips[:9]]

    assert asyncio.run(main()) == (200, LARGE_OF_ONE - 1, [408] * 9)


def test_what_comes_out_of_a_compressed_body_is_held_too(settings):
    settings.ERIP_BODY_MEMORY = 2 * LIMIT
    client, _ = send([declared(10), (b"content-encoding", b"gzip")], [b"x" * 10])
    assert (client.status, client.answer[b"retry-after"]) == (503, b"1")
    assert send([declared(10), (b"content-encoding", b"identity")], [b"x" * 10])[0].status == 200


# --- of a stranger ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, (b"authorization", b"Bearer nonsense"), (b"authorization", b"Basic abcd")])
@pytest.mark.parametrize("framing", [CHUNKED, declared(10), declared(10**12)])
def test_nothing_of_a_strangers_body_is_read(key, framing):
    client, application = send([framing], [b"x"] * 10, key=key)
    assert (client.status, len(client.left), application.body) == (401, 10, None)
    assert client.answer[b"connection"] == b"close"
    assert client.answer[b"www-authenticate"].startswith(b"Bearer")
    assert client.answer[b"x-content-type-options"] == b"nosniff"
    client, application = send([framing], [b"x"] * 10, "/reports/one", key=key)
    assert len(client.left) == 10
    assert application.body == b""
    assert application.headers[b"content-length"] == b"0"
    assert b"transfer-encoding" not in application.headers
    assert client.answer[b"connection"] == b"close"


def test_a_form_of_a_stranger_is_read_if_it_is_small():
    client, application = send([declared(20)], [b"username=a&password=b"[:20]], "/admin/login/", key=None)
    assert (client.status, len(application.body)) == (200, 20)
    assert send([declared(FORM_LIMIT + 1)], [b"x"], "/admin/login/", key=None)[0].status == 413
    assert send([CHUNKED], [b"x" * FORM_LIMIT, b"x"], "/admin/login/", key=None)[0].status == 413


def test_forms_that_drip_displace_each_other_and_not_one_that_is_sent(settings):
    settings.ERIP_ANONYMOUS_FORMS = 10

    async def main():
        door = Door(Application(), callers)
        drips = [Client([b"x"], ends=False) for _ in range(30)]
        asked = [asyncio.create_task(ask(door, one, [declared(100)], "/admin/login/")) for one in drips]
        await asyncio.sleep(0.05)
        good = Client([b"x" * 50, b"y" * 50], pause=0.01)
        await ask(door, good, [declared(100)], "/admin/login/")
        assert len([one for one in asked if not one.done()]) <= 2
        for one in asked:
            one.cancel()
        return good.status, {one.status for one in drips}

    assert asyncio.run(main()) == (200, {408, 0})


def test_a_full_crowd_lets_go_of_the_oldest_of_the_address_with_most():
    async def main():
        crowd, memory = Crowd(4, 4), Memory(10)

        async def read(group):
            drip = Client([b"x"], ends=False)
            with memory.share(group) as share:
                return await read_body(
                    drip.receive, limit=9, pace=Pace(60, 1, 60), share=share, crowd=crowd, group=group
                )

        many = [asyncio.create_task(read("a")) for _ in range(3)]
        await asyncio.sleep(0)
        one = asyncio.create_task(read("b"))
        await asyncio.sleep(0)
        late = asyncio.create_task(read("c"))
        await asyncio.sleep(0.05)
        done = [task.done() for task in (*many, one, late)]
        with pytest.raises(BodyTooSlow):
            await many[0]
        for task in (*many, one, late):
            task.cancel()
        return done

    assert asyncio.run(main()) == [True, False, False, False, False]


def test_a_share_is_given_back_however_its_request_ends():
    memory = Memory(2 * LIMIT)
    with memory.share("a") as share:
        share.take(LIMIT)
        with pytest.raises(NoMemory):
            share.take(1)
        assert memory.used == LIMIT
    assert memory.used == 0
    assert memory.has_room("a", LIMIT)
    assert not memory.has_room("a", LIMIT + 1)


def test_a_small_body_has_room_whatever_large_ones_hold():
    memory = Memory(2 * LIMIT)
    with memory.share("a") as large, memory.share("b") as larger, memory.share("a") as small:
        large.take(LIMIT)
        larger.take(LIMIT)
        small.take(Memory.SMALL)
        with pytest.raises(NoMemory):
            small.take(1)


def test_a_websocket_is_refused():
    said = []

    async def receive():
        return {"type": "websocket.connect"}

    async def answer(message):
        said.append(message["type"])

    asyncio.run(Door(Application(), callers)({"type": "websocket", "path": "/", "headers": []}, receive, answer))
    assert said == ["websocket.close"]


@pytest.mark.parametrize("path", ["/api/v1/runs", "/admin/", "/api/v1/runs/bulk/"])
def test_only_a_bulk_start_may_be_larger(path):
    assert body_limit(path) == LIMIT
    assert body_limit("/api/v1/runs/bulk") == 16 * LIMIT
