"""What the guard takes for a sign of life where Patroni speaks TLS: real ports."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from erip.ops.ca import Authority, Issued, Leaf
from erip.ops.guard import probes
from erip.ops.guard.configuration import Address
from erip.ops.guard.etcd import Tls
from erip.ops.guard.probes import Reach

LOOPBACK = "127.0.0.1"


def issued(folder: Path, authority: str, name: str) -> Issued:
    leaf = Leaf("patroni", name, (LOOPBACK,), server=True, client=True)
    return Authority(folder / authority, authority).issue(folder / f"{authority}-{name}", leaf)


def tls_of(one: Issued) -> Tls:
    return Tls(one.ca, one.bundle, one.bundle)


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """Hands every connection to `serve`, one after the other."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    with closing(link), suppress(OSError):
                        serve(link)

        threading.Thread(target=accept, daemon=True).start()
        yield (LOOPBACK, listener.getsockname()[1])
        # Wakes `accept`, which closing alone does not.
        listener.shutdown(socket.SHUT_RDWR)


def shaking_hands(own: Issued) -> Callable[[socket.socket], None]:
    """As Patroni with `verify_client: required`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own.bundle)

    def serve(link: socket.socket) -> None:
        with context.wrap_socket(link, server_side=True) as safe:
            safe.recv(1)

    return serve


@pytest.mark.parametrize("who", ["of its circle", "of another circle"])
def test_a_node_that_shakes_hands_lives_whether_it_trusts_us_or_not(tmp_path: Path, who: str) -> None:
    server, ours = issued(tmp_path, "ours", "postgres-1"), issued(tmp_path, "ours", "postgres-2")
    foreign = issued(tmp_path, "foreign", "postgres-2")
    tls = {
        "of its circle": tls_of(ours),
        # It believes the server, which does not believe it.
        "of another circle": Tls(ours.ca, foreign.bundle, foreign.bundle),
    }[who]
    with listening(shaking_hands(server)) as address:
        assert [probes.patroni(address, timeout=10, tls=tls) for _ in range(20)] == [Reach.ANSWERS] * 20


def test_a_node_whose_certificate_we_do_not_trust_lives(tmp_path: Path) -> None:
    with listening(shaking_hands(issued(tmp_path, "ours", "postgres-1"))) as address:
        assert probes.patroni(address, timeout=10, tls=tls_of(issued(tmp_path, "other", "me"))) is Reach.ANSWERS


def test_a_frozen_node_is_silent_and_one_that_closes_refuses(tmp_path: Path) -> None:
    tls = tls_of(issued(tmp_path, "ours", "postgres-2"))
    with closing(socket.create_server((LOOPBACK, 0))) as frozen:
        # The kernel takes the connection.
        assert probes.patroni((LOOPBACK, frozen.getsockname()[1]), timeout=0.2, tls=tls) is Reach.SILENT
        gone = frozen.getsockname()[1]
    assert probes.patroni((LOOPBACK, gone), timeout=10, tls=tls) is Reach.REFUSED
    with listening(lambda link: link.recv(1000) and None) as address:
        assert probes.patroni(address, timeout=10, tls=tls) is Reach.REFUSED
