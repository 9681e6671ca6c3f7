"""Two sets of web servers behind HAProxy, and a switch between them: nothing is cut, and what it says is what was done.
The web processes here are sockets that write down what they are sent."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from erip.ops.deploy import switch
from erip.ops.deploy.nodes import Address
from tests.integration.test_balancer import Server, Site, balanced, get, request
from tests.support.programs import needs
from tests.support.raw import Raw
from tests.workers import until

pytestmark = needs("haproxy")


class Switched:
    """A site of two sets, of which one is sent requests."""

    def __init__(self, site: Site, admin: Path, blue: Server, green: Server) -> None:
        self.site, self.admin, self.blue, self.green = site, admin, blue, green

    def __call__(self, *arguments: str) -> int:
        return switch.main([*arguments, "--socket", str(self.admin)])

    def ask(self, number: int) -> set[str]:
        """Who answered so many requests of all kinds."""
        before = {"blue": len(self.blue.lines), "green": len(self.green.lines)}
        for place in range(number):
            with Raw(self.site.url) as client:
                client.send((get("/hello"), request("POST", "/hello", body=b"{}"), get("/static/hello"))[place % 3])
                assert client.status(30) == 200
        now = {"blue": len(self.blue.lines), "green": len(self.green.lines)}
        return {name for name in now if now[name] > before[name]}


@pytest.fixture
def sets(tmp_path: Path) -> Iterator[Switched]:
    blue, green = Server(), Server()
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="erip-") as folder:
        admin = Path(folder) / "admin.sock"
        webs = [Address("blue-1", "127.0.0.1", blue.port), Address("green-1", "127.0.0.1", green.port)]
        with balanced(tmp_path, webs, active="blue", admin=str(admin)) as site:
            yield Switched(site, admin, blue, green)
    for server in (blue, green):
        server.go_on.set()
        server.close()


def until_both_pass(sets: Switched, capsys: pytest.CaptureFixture[str]) -> None:
    def both_pass() -> bool:
        assert sets() == switch.DONE
        return "fails" not in capsys.readouterr().out

    until(both_pass, what="both sets pass their checks")


def test_requests_go_to_one_set_and_a_switch_cuts_none(sets: Switched, capsys: pytest.CaptureFixture[str]) -> None:
    until_both_pass(sets, capsys)
    assert sets.ask(12) == {"blue"}
    with Raw(sets.site.url) as waiting, Raw(sets.site.url) as dripping:
        waiting.send(request("POST", "/slow", "Prefer: wait=60", body=b"{}"))
        dripping.send(request("POST", "/drip", "Content-Length: 60000") + b"x" * 45_000)
        until(lambda: switch.Balancer(sets.admin).busy(["blue"]) == 2, what="blue has both")
        assert sets("green", "--wait", "0.3") == switch.NOT_DRAINED
        said = capsys.readouterr().out
        assert "green gets all requests that come from now on." in said
        assert "blue: 2 requests are still under way" in said
        assert 'active = "green" under [balancer]' in said
        assert sets.ask(12) == {"green"}
        # And back, while they go on.
        assert sets("blue", "--wait", "0") in (switch.DONE, switch.NOT_DRAINED)
        assert sets.ask(12) == {"blue"}
        assert sets("green", "--wait", "0") == switch.NOT_DRAINED
        dripping.send(b"x" * 15_000)
        assert dripping.status(30) == 200
        sets.blue.go_on.set()
        assert waiting.status(30) == 200
    assert sets("green") == switch.DONE
    assert "blue: nothing is under way" in capsys.readouterr().out
    # It has ended, and nobody notices.
    sets.blue.close()
    assert sets.ask(12) == {"green"}


class Between:
    """Between a person and HAProxy's socket. `cuts` has a text and how many of the questions that begin with it are
    answered; further ones are sent on, or not (`swallows`), and their connection is reset. `changes` has a text of a
    question, and what HAProxy hears in its place."""

    def __init__(self, path: Path, admin: Path) -> None:
        self.path, self._admin = path, admin
        self.cuts: tuple[str, int] = ("nothing", 0)
        self.swallows = False
        self.changes: tuple[str, str] = ("", "")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link, suppress(OSError):
                self._pass_on(link)

    def _pass_on(self, link: socket.socket) -> None:
        # It is only looked at: a socket that is closed with something unread resets the other side's.
        while not (asked := link.recv(65_536, socket.MSG_PEEK)).endswith(b"\n"):
            pass
        text, rest = asked.decode(), self.cuts[1]
        cut = text.startswith(self.cuts[0])
        if cut:
            self.cuts = (self.cuts[0], rest - 1)
        if cut and rest <= 0 and self.swallows:
            return
        with socket.socket(socket.AF_UNIX) as there:
            there.settimeout(60)
            there.connect(str(self._admin))
            there.sendall(text.replace(*self.changes).encode())
            there.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: there.recv(65_536), b""))
        if not cut or rest > 0:
            link.recv(65_536)
            link.sendall(answer)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def between(sets: Switched, capsys: pytest.CaptureFixture[str]) -> Iterator[Between]:
    until_both_pass(sets, capsys)
    one = Between(sets.admin.with_name("between.sock"), sets.admin)
    yield one
    one.close()


def switched(one: Between, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    status = switch.main(["green", "--socket", str(one.path)])
    return status, capsys.readouterr().err


def test_an_answer_that_is_lost_is_read_back(sets: Switched, between: Between, capsys) -> None:
    between.cuts = ("set", 0)
    assert switched(between, capsys)[0] == switch.DONE
    assert sets.ask(12) == {"green"}


def test_what_was_not_answered_and_has_not_come_is_not_known(sets: Switched, between: Between, capsys) -> None:
    between.cuts, between.swallows = ("set", 0), True
    status, said = switched(between, capsys)
    assert status == switch.NOT_KNOWN
    assert "it has not switched as a whole" in said
    assert sets.ask(12) == {"blue"}


def test_a_part_that_haproxy_refuses_is_named_and_nothing_else_counts_as_nothing(
    sets: Switched, between: Between, capsys
) -> None:
    between.changes = ("web_large/green-1", "web_large/green-7")
    status, said = switched(between, capsys)
    assert status == switch.NOT_KNOWN
    assert "web_large/green-1: 0" in said
    assert "No such server" in said
    # Once more, and all is well.
    between.changes = ("", "")
    assert switched(between, capsys)[0] == switch.DONE
    assert sets("blue") == switch.DONE
    between.changes = ("set server ", "set server not_")
    status, said = switched(between, capsys)
    assert status == switch.REFUSED
    assert "No such" in said
    assert sets.ask(12) == {"blue"}


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (1, "whether it has switched is not known"),
        # It has been read back; then what it works on cannot be read.
        (2, "it has switched; what is under way is not known"),
        (3, "it has switched; what is under way is not known"),
    ],
)
def test_a_socket_that_fails_after_the_switch_does_not_say_that_nothing_was_changed(
    sets: Switched, between: Between, capsys, answered: int, said: str
) -> None:
    between.cuts = ("show stat", answered)
    status, told = switched(between, capsys)
    assert status == switch.NOT_KNOWN
    assert said in told
    assert sets.ask(12) == {"green"}


def test_a_set_that_fails_its_check_is_not_switched_to(sets: Switched, capsys: pytest.CaptureFixture[str]) -> None:
    until_both_pass(sets, capsys)
    sets.green.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", sets.green.port), 5).close()

    def refused() -> bool:
        return sets("green", "--wait", "0") == switch.REFUSED

    # Until HAProxy has looked it may be switched to.
    until(refused, what="it is refused")
    assert "green-1 fails its check: " in capsys.readouterr().err
    assert sets("blue", "--wait", "0") in (switch.DONE, switch.NOT_DRAINED)
    assert sets.ask(12) == {"blue"}
    assert sets("purple") == switch.REFUSED
    assert "there is no set purple; there is blue, green" in capsys.readouterr().err
    assert switch.main(["blue", "--socket", str(sets.admin.with_name("none.sock"))]) == switch.REFUSED
    assert "none.sock: No such file" in capsys.readouterr().err
