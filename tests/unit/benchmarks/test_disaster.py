"""What the ledger of a disaster says, and what is held against it. Carried out: python -m benchmarks.disaster."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from benchmarks.disaster import __main__ as disaster
from benchmarks.disaster.ledger import Acknowledged, Callers, Loss, loss, missed
from benchmarks.disaster.seen import Seen

GIVEN = {
    "old": Acknowledged("east", 1.0),
    "near": Acknowledged("east", 9.5),
    "after": Acknowledged("east", 10.5),
    "there": Acknowledged("west", 2.0),
}


def test_a_loss_is_as_old_as_the_oldest_start_that_is_missing() -> None:
    found = loss(GIVEN, {"old"}, site="east", lost_at=10.0)
    assert (found.acknowledged, found.missing, found.seconds) == (2, ("near",), 0.5)
    found = loss(GIVEN, set(), site="east", lost_at=10.0)
    assert (found.missing, found.seconds) == (("near", "old"), 9.0)
    found = loss(GIVEN, {"old", "near"}, site="east", lost_at=10.0)
    assert (found.missing, found.seconds) == ((), 0.0)


def test_a_hand_back_answers_for_the_starts_of_every_region() -> None:
    lost = Loss(3, ("near",), 0.5)
    assert missed(GIVEN, {"old", "after", "there", "else"}, lost) == []
    # One that the first region acknowledged, and that the other had until it handed back.
    assert missed(GIVEN, {"after", "there"}, lost) == ["old"]
    assert missed(GIVEN, {"old", "after"}, lost) == ["there"]


def test_what_must_be_and_is_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen()
    seen.must("all is there", True)
    assert seen.missed == []
    seen.must("nothing is lost", False)
    assert seen.missed == ["nothing is lost"]
    assert "MISSED: nothing is lost" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--runs", "0"],
        ["--runs", "x"],
        ["elsewhere"],
        ["--backlog", "-1"],
        ["--gigabytes", "-1"],
        ["--gigabytes", "nan"],
        ["--hold", "0"],
        ["--patience", "inf"],
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_starts(words: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        disaster.main(words)
    assert raised.value.code == 2


class Site(http.server.BaseHTTPRequestHandler):
    """Answers each key at its second time only."""

    keys: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        self.keys.append(key)
        status = 202 if self.keys.count(key) > 1 else 503
        many = {"ids": [f"{key}-{at}" for at, _ in enumerate(body["inputs"])]} if "inputs" in body else {"id": key}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(many).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    Site.keys = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_start_without_an_answer_is_sent_again_with_the_same_key(site: str) -> None:
    callers = Callers("key")
    callers.site = ("east", site)
    callers.chains(1)
    callers.chains(3)
    assert (len(callers.runs), callers.again, callers.wrong) == (4, 2, [])
    assert len(Site.keys) == 4
    assert len(set(Site.keys)) == 2
    assert {one.site for one in callers.runs.values()} == {"east"}
