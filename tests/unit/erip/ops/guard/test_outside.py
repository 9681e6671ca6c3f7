"""Whom the leader's guard hears: real ports, of which one answers and one is only listened at."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from erip.ops.guard.cluster import Cluster, Member
from erip.ops.guard.configuration import Address
from erip.ops.guard.outside import ETCD_SILENCE, Outside


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@pytest.fixture
def answering() -> Iterator[Address]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()


@pytest.fixture
def silent() -> Iterator[Address]:
    """As a frozen process: the kernel takes the connection, and nothing comes back."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield ("127.0.0.1", server.getsockname()[1])


def outside(read: float, **members: Address) -> Outside:
    """Of the node `me`, which read etcd at `read` for the last time."""
    cluster = Cluster(None, None, members={name: Member(rest, rest) for name, rest in members.items()})
    return Outside("me", lambda: (read, cluster))


def test_a_member_that_answers_is_heard_though_another_is_silent(answering, silent):
    began = time.monotonic()
    node = outside(began - 10, me=silent, one=silent, other=answering)
    node.round()
    assert node.heard > began


def test_nobody_is_heard_where_all_are_silent_but_the_node_itself(answering, silent):
    node = outside(time.monotonic() - 10, me=answering, one=silent)
    before = node.heard
    node.round()
    assert node.heard == before


def test_a_node_without_others_is_not_cut_off(answering):
    began = time.monotonic()
    node = outside(began - 10, me=answering)
    node.round()
    assert node.heard > began


def test_nobody_is_asked_while_etcd_answers(answering):
    read = time.monotonic() - ETCD_SILENCE / 2
    node = outside(read, other=answering)
    before = node.heard
    node.round()
    assert node.heard == before
