"""A web process that speaks TLS to its balancer: who is refused, and that a renewed certificate costs no request."""

import asyncio
import http.client
import os
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from erip.foundation.http.addresses import TrueClient
from erip.foundation.process.trust import context_of
from erip.ops import ca
from erip.ops.ca import Authority, Issued, Leaf
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.identity import identity
from erip.ops.stack.state import ROOT
from tests import workers
from tests.support.tls import serial_of
from tests.support.web import Web, web
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Encrypted:
    web: Web
    circles: Circles
    folder: Path
    own: Issued
    balancer: Issued

    @property
    def port(self) -> int:
        return urlsplit(self.web.url).port or 0

    def get(self, *, ca: Path | None = None, certificate: Path | None = None, most: Any = None) -> int:
        context = ssl.create_default_context(cafile=ca or self.balancer.ca)
        if most:
            context.maximum_version = most
        context.load_cert_chain(certificate or self.balancer.bundle)
        return self.ask(context)

    def ask(self, context: ssl.SSLContext) -> int:
        with closing(http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)) as link:
            link.request("GET", "/health/live")
            return link.getresponse().status


@pytest.fixture
def encrypted(transactional_db: None, tmp_path: Path) -> Iterator[Encrypted]:
    circles, folder = Circles(tmp_path / "ca"), tmp_path / "tls"
    own, balancer = circles.of_web(folder, "web-1", "127.0.0.1"), circles.of_webs_balancer(folder)
    files = {"ERIP_WEB_CERTIFICATE": str(own.bundle), "ERIP_WEB_CLIENT_CA": str(own.ca)}
    with web(tmp_path / "log", context_of(str(balancer.ca), str(balancer.bundle)), **files) as started:
        yield Encrypted(started, circles, folder, own, balancer)


def test_it_answers_tls_13_and_its_balancer_alone_and_takes_a_renewed_certificate(
    encrypted: Encrypted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encrypted.get() == 200
    probed = "erip.foundation.process.asking"
    words = [sys.executable, "-m", probed, "/health/live", "--port", str(encrypted.port), "--name", "web-1"]
    both = encrypted.circles._web.issue(tmp_path / "both", Leaf("web", "web-1", ("web-1",), server=True, client=True))
    env = {**os.environ, "ERIP_WEB_CERTIFICATE": str(both.bundle), "ERIP_WEB_CLIENT_CA": str(both.ca)}
    how: dict[str, Any] = {"env": env, "check": False, "capture_output": True, "text": True, "cwd": ROOT}
    assert subprocess.run(words, **how).returncode == 0, "as Kubernetes' probes ask"
    for bad in ([*words[:3], "/health/nothing", *words[4:]], [*words[:-1], "web-2"], [*words[:-3], "1"]):
        done = subprocess.run(bad, **how)
        assert (done.returncode, bool(done.stderr)) == (1, True), bad
    foreign = Authority(tmp_path / "foreign", "web").issue(tmp_path, Leaf("balancer", "erip-haproxy", client=True))
    # Of the site, but not of this circle.
    other = encrypted.circles.of_balancer(tmp_path / "other")
    # The server's alert, or that it has closed before we said anything.
    closed = "|EOF|reset|pipe|closed connection"
    for refused, said in (
        ({"most": ssl.TLSVersion.TLSv1_2}, f"protocol.version{closed}"),
        ({"certificate": foreign.bundle}, f"unknown.ca|decrypt.error{closed}"),
        ({"certificate": other.bundle}, f"unknown.ca|decrypt.error{closed}"),
        ({"ca": foreign.ca}, "certificate verify failed"),
    ):
        with pytest.raises(OSError, match=f"(?i){said}"):
            encrypted.get(**refused)
    with pytest.raises(OSError, match=f"(?i)certificate.required{closed}"):
        encrypted.ask(ssl.create_default_context(cafile=encrypted.balancer.ca))
    with pytest.raises(OSError, match=f"(?i)refused{closed}"):
        urllib.request.urlopen(f"http://127.0.0.1:{encrypted.port}/health/live", timeout=30)

    # And now as the supervisor renews: written as a whole over the old one.
    mine = identity(encrypted.folder, "erip-haproxy")
    before, failed, answered, over = serial_of(encrypted.port, mine), [], [], threading.Event()

    def ask() -> None:
        while not over.wait(0.01):
            try:
                answered.append(encrypted.ask(context_of(str(mine.ca), str(mine.certificate))))
            except OSError as error:
                failed.append(repr(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        until(lambda: len(answered) > 10, seconds=60, what="requests are answered")
        monkeypatch.setattr(ca, "LEAF_DAYS", 300)
        assert encrypted.circles.of_webs_balancer(encrypted.folder).fresh
        assert encrypted.circles.of_web(encrypted.folder, "web-1", "127.0.0.1").fresh
        until(lambda: serial_of(encrypted.port, mine) != before, seconds=60, what="the new certificate is shown")
        count = len(answered)
        until(lambda: len(answered) > count + 10, seconds=60, what="requests are answered with it")
    finally:
        over.set()
        thread.join(60)
    assert failed == []
    assert set(answered) == {200}


def test_with_files_that_cannot_be_read_it_does_not_start(transactional_db: None, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    log, files = tmp_path / "log", {"ERIP_WEB_CERTIFICATE": str(tmp_path / "text.pem")}
    arguments = ["-m", "gunicorn", "-c", "python:erip.gunicorn", "--bind=127.0.0.1:0", "--workers=1"]
    with workers.process(arguments, log, **files) as process:
        until(lambda: process.poll() is not None, seconds=60, what=f"it ends; log: {log}")
    assert process.returncode != 0
    assert "ASGI server listening" not in log.read_text()


@pytest.mark.parametrize(
    ("scheme", "said", "peer", "seen"),
    [
        ("https", b"http", "10.0.0.1", "http"),
        ("https", b"https", "10.0.0.1", "https"),
        ("https", None, "10.0.0.1", "https"),
        # Nobody who is not trusted may say anything of it, and in the clear it is not looked at.
        ("https", b"http", "10.9.9.9", "https"),
        ("http", b"https", "10.0.0.1", "http"),
    ],
)
def test_tls_to_the_balancer_says_nothing_of_the_client(
    settings: Any, scheme: str, said: bytes | None, peer: str, seen: str
) -> None:
    settings.ERIP_TRUSTED_PROXIES = ["10.0.0.1"]
    found: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope["scheme"])

    headers = [] if said is None else [(b"x-forwarded-proto", said)]
    scope = {"type": "http", "scheme": scheme, "client": (peer, 1), "headers": headers}
    asyncio.run(TrueClient(application)(scope, None, None))
    assert found == [seen]
