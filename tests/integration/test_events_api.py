"""The event bus over HTTP: what is accepted, what is refused, and how the answer says so."""

import gzip

import orjson
import pytest
import zstandard

from erip.access import keys
from erip.access.scopes import Scope
from tests.support.api import Api, key
from tests.support.events import Recorder, accept, consuming, event
from tests.workers import until
from workflows.core.cloudevents import BATCH, STRUCTURED
from workflows.events.models import Block, Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api() -> Api:
    keys.forget_cached()
    return Api(key(Scope.OPERATOR))


def send(api: Api, body: object, media: str, **headers: str):
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return api.send("POST", "/events", content, **{"Content-Type": media, **headers})


def journalled() -> int:
    return sum(Block.objects.values_list("events", flat=True))


def test_a_batch_one_event_and_an_event_in_headers_are_accepted(api: Api) -> None:
    batch = send(api, [event(), event()], BATCH)
    one = send(api, event(), STRUCTURED)
    binary = send(
        api, b'{"severity": "high"}', "application/json",
        **{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/scanner", "ce-type": "nexus.threat.detected"},
    )  # fmt: skip
    empty = send(api, [], BATCH)

    assert [answer.status_code for answer in (batch, one, binary, empty)] == [202] * 4, binary.content
    assert batch.json() == {"accepted": 2, "duplicates": 0}
    assert journalled() == 4


def test_nobody_passes_himself_off_as_the_platform(api: Api) -> None:
    forged = event(source="/erip/workflows/breach-response", type="workflow.run.failed")
    batch = send(api, [event(), forged], BATCH)
    one = send(api, forged, STRUCTURED)

    assert [answer.status_code for answer in (batch, one)] == [422] * 2
    assert [fault["path"] for fault in batch.json()["faults"]] == ["[1].source", "[1].type"]
    assert [fault["path"] for fault in one.json()["faults"]] == ["source", "type"]
    assert journalled() == 0


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_bodies_may_be_compressed_and_bombs_are_refused(api: Api, encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor().compress
    good = send(api, pack(orjson.dumps([event()])), BATCH, **{"Content-Encoding": encoding})
    bomb = send(api, pack(b" " * 200_000_000), BATCH, **{"Content-Encoding": encoding})
    cut = send(api, pack(orjson.dumps([event()]))[:-9], BATCH, **{"Content-Encoding": encoding})
    other = send(api, b"x", BATCH, **{"Content-Encoding": "br"})

    assert [answer.status_code for answer in (good, bomb, cut, other)] == [202, 413, 400, 415]
    assert journalled() == 1


def test_every_fault_is_named_with_its_index_and_attribute_and_nothing_is_accepted(api: Api) -> None:
    answer = send(api, [event(), event(source=""), event(id=7, type=None), event(specversion="0.3")], BATCH)

    assert answer.status_code == 422
    assert answer.json()["code"] == "events-invalid"
    assert [fault["path"] for fault in answer.json()["faults"]] == [
        "[1].source",
        "[2].id",
        "[2].type",
        "[3].specversion",
    ]
    assert journalled() == 0


def test_who_may_not_send_is_told_so(api: Api) -> None:
    reader = send(Api(key(Scope.VIEWER)), event(), STRUCTURED)
    nobody = send(Api(), event(), STRUCTURED)
    assert (reader.status_code, nobody.status_code) == (403, 401)


def test_what_is_no_cloudevent_is_refused_by_its_media_type(api: Api) -> None:
    assert send(api, event(), "application/json").status_code == 415
    assert send(api, b"<x/>", "application/cloudevents+xml").status_code == 415
    assert send(api, b"{", STRUCTURED).status_code == 400


def test_the_log_is_read_by_filter_page_place_and_identity(api: Api) -> None:
    events = [event(id=f"e{n}", subject=f"s{n % 3}", type="a.b" if n % 2 else "c.d") for n in range(20)]
    with consuming(Recorder()):
        for one in events:
            accept([one])
        until(lambda: Event.objects.count() == 20)

    newest = api.get("/events", limit=8).json()
    rest = api.get("/events", limit=200, cursor=newest["next_cursor"]).json()
    found = [item["event"]["id"] for item in newest["items"] + rest["items"]]
    assert sorted(found) == sorted(one["id"] for one in events)
    assert rest["next_cursor"] is None
    assert [item["event"]["id"] for item in api.get("/events", order="oldest", limit=200).json()["items"]] == found[
        ::-1
    ]
    assert len(api.get("/events", type="a.b").json()["items"]) == 10
    assert len(api.get("/events", type="a.b", subject="s0").json()["items"]) == 3
    one = api.get("/events", source="/tests", id="e7").json()["items"]
    assert [item["event"] for item in one] == [events[7]]
    assert api.get(f"/events/{one[0]['position']}").json()["event"] == events[7]
    assert api.get("/events/3-99999").status_code == 404
    assert api.get("/events", cursor="nonsense").status_code == 400
    assert api.get("/events", typ="a.b").status_code == 400
    assert api.get("/events", after="2999-01-01T00:00:00Z").json()["items"] == []
