"""HAProxy towards users with a certificate that the stack makes (ERIP_LB_CERTIFICATE=own): real, with nobody behind."""

import http.client
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from erip.ops import ca
from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.nodes import Address, PostgresPeer
from erip.ops.stack.binaries import find_system
from erip.ops.stack.ha.haproxy import OWN, HaProxy
from erip.ops.stack.ports import LOOPBACK, any_free
from tests.support.programs import needs
from tests.support.tls import serial_of
from tests.workers import until

pytestmark = needs("haproxy")


@pytest.fixture
def node() -> Iterator[HaProxy]:
    binary = find_system("haproxy", None)
    assert binary is not None
    # Short, as it holds Unix sockets.
    with tempfile.TemporaryDirectory(prefix="erip-") as name:
        home, port = Path(name), any_free()
        known = Balancer(
            [Address("web-1", LOOPBACK, any_free())], [PostgresPeer("postgres-1", LOOPBACK, any_free(), any_free())],
            port, any_free(), any_free(), Rules(certificate=OWN, redirect_port=any_free()),
        )  # fmt: skip
        made = HaProxy(
            name="haproxy", binary=binary, folder=home / "haproxy", port=port, log=home / "log", user=None,
            balancer=known, superuser_password="unused", password="unused", circles=Circles(home / "ca"),
        )  # fmt: skip
        made.prepare()
        with made.log.open("ab") as log:
            process = subprocess.Popen(made.command, stdout=log, stderr=log)
        try:
            until(lambda: asks(made) == 503, what="HAProxy answers")
            yield made
            assert process.poll() is None, "it was not started again"
        finally:
            process.kill()
            process.wait()


def asks(node: HaProxy, *, ca: Path | None = None, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
    """The status; 0 while nobody listens."""
    context = ssl.create_default_context(cafile=ca or node.front.ca)
    context.maximum_version = most
    with closing(http.client.HTTPSConnection(LOOPBACK, node.port, timeout=30, context=context)) as link:
        try:
            link.request("GET", "/")
        except ConnectionRefusedError:
            return 0
        return link.getresponse().status


def test_users_are_answered_by_tls_13_alone(node: HaProxy) -> None:
    with pytest.raises(OSError, match=r"(?i)protocol.version|EOF|reset"):
        asks(node, most=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(OSError, match="certificate verify failed"):
        asks(node, ca=node.to_web.ca)
    with closing(http.client.HTTPConnection(LOOPBACK, node.port, timeout=30)) as plain:
        plain.request("GET", "/")
        with pytest.raises((OSError, http.client.HTTPException)):
            plain.getresponse()


def test_the_plain_port_sends_browsers_away_and_takes_nothing(node: HaProxy) -> None:
    plain = node.balancer.rules.redirect_port

    def asked(method: str = "GET", path: str = "/a?b=c", **headers: str) -> tuple[int, str | None]:
        with closing(http.client.HTTPConnection(LOOPBACK, plain, timeout=30)) as link:
            link.request(method, path, headers={"Host": f"erip.example.org:{plain}", **headers})
            answer = link.getresponse()
            return answer.status, answer.headers["Location"]

    assert asked() == asked("HEAD") == (301, f"https://erip.example.org:{node.port}/a?b=c")
    assert asked(Host="LOCALHOST") == (301, f"https://localhost:{node.port}/a?b=c")
    assert asked("POST") == asked(Authorization="Bearer erip_x_y") == (403, None)
    assert asked(Host="a/b@evil.example") == (400, None)


def test_renewed_certificates_are_taken_without_a_reload(node: HaProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    before = serial_of(node.port, node.front)
    assert node.renew() is False, "none is due"
    assert serial_of(node.port, node.front) == before
    monkeypatch.setattr(ca, "LEAF_DAYS", 300)
    assert node.renew() is False, "HAProxy has taken all three"
    assert serial_of(node.port, node.front) != before
    assert asks(node) == 503
