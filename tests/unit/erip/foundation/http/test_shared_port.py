"""Two sockets at one address: who of them the kernel gives new connections to."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from erip.foundation.http.shared_port import WHOLE, SharedPort

MANY = 200


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
def listening(request: pytest.FixtureRequest) -> Iterator[Callable[[], socket.socket]]:
    """Another socket that listens at the same address, with each call."""
    family, host = request.param
    made: list[socket.socket] = []

    def listen() -> socket.socket:
        one = socket.socket(family)
        made.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            one.bind(made[0].getsockname() if len(made) > 1 else (host, 0))
        except OSError as error:
            pytest.skip(f"{host} is not here: {error}")
        one.listen(2 * MANY)
        one.setblocking(False)
        return one

    yield listen
    for one in made:
        one.close()


def shares(*listeners: socket.socket, of: socket.socket) -> list[int]:
    """How many of MANY new connections each of them gets."""
    with ExitStack() as links:
        for _ in range(MANY):
            links.enter_context(socket.create_connection(of.getsockname()[:2]))
        return [_accepted(one) for one in listeners]


def _accepted(one: socket.socket) -> int:
    number = 0
    while True:
        try:
            one.accept()[0].close()
        except BlockingIOError:
            return number
        number += 1


def test_the_first_keeps_all_gives_a_part_gives_all_and_the_system_spreads_again(
    listening: Callable[[], socket.socket],
) -> None:
    first = listening()
    port = SharedPort(first)
    assert port.claim()
    assert port.claimed
    second = listening()
    assert shares(first, second, of=first) == [MANY, 0]
    port.give(WHOLE // 2)
    kept, given = shares(first, second, of=first)
    assert kept + given == MANY
    assert kept > MANY // 8
    assert given > MANY // 8
    port.give(WHOLE)
    assert shares(first, second, of=first) == [0, MANY]
    port.let_go()
    assert min(shares(first, second, of=first)) > 0


@pytest.mark.parametrize("part", [None, WHOLE // 8, WHOLE])
def test_who_is_left_gets_all_however_the_first_one_ended(
    listening: Callable[[], socket.socket], part: int | None
) -> None:
    first = listening()
    port = SharedPort(first)
    assert port.claim()
    if part is not None:
        port.give(part)
    second = listening()
    first.close()
    assert shares(second, of=second) == [MANY]


def test_nobody_claims_an_address_at_which_another_one_listens(listening: Callable[[], socket.socket]) -> None:
    first, second = listening(), listening()
    ports = [SharedPort(first), SharedPort(second)]
    assert [one.listeners() for one in ports] == [2, 2]
    assert not any(one.claim() for one in ports)
    assert min(shares(first, second, of=first)) > 0
    first.close()
    assert ports[1].claim()
    assert ports[1].claimed


def test_where_one_was_killed_and_two_are_left_the_system_spreads_again(
    listening: Callable[[], socket.socket],
) -> None:
    first = listening()
    assert SharedPort(first).claim()
    second, third = listening(), listening()
    left = SharedPort(second)
    assert not left.claim()
    first.close()
    assert not left.claim()
    assert min(shares(second, third, of=second)) > 0


def test_a_socket_that_was_closed_meanwhile_is_nobodys(listening: Callable[[], socket.socket]) -> None:
    one = listening()
    port = SharedPort(one)
    one.close()
    assert port.listeners() == 0
    assert not port.claim()


def test_a_socket_that_does_not_listen_claims_nothing() -> None:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", 0))
        port = SharedPort(bound)
        assert port.listeners() == 0
        assert not port.claim()
        bound.listen()
        assert port.listeners() == 1
        assert port.claim()


def test_only_an_internet_socket_that_was_opened_to_others_may_be_shared() -> None:
    with socket.socket() as alone, socket.socket(socket.AF_UNIX) as local:
        assert not SharedPort.may_be(alone)
        assert not SharedPort.may_be(local)
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        assert SharedPort.may_be(alone)
