"""CloudEvents as they come in: the rules of the specification, and that every fault is named."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erip.foundation.faults import Fault
from workflows.core.blocks import Entry, decode, encode
from workflows.core.cloudevents import Invalid, NotJson, partition_of, read_batch, read_binary, read_structured

GOOD: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/scanner/7", "type": "nexus.threat.detected"}


NO_MEDIA = "must be a media type of RFC 2046, for example application/json"


def faults_of(**changes: Any) -> list[Fault]:
    event = {name: value for name, value in {**GOOD, **changes}.items() if value != "leave out"}
    try:
        read_structured(orjson.dumps(event), partitions=16)
    except Invalid as error:
        return error.faults
    return []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source": "https://feeds.example/kev?x=1#top"},
        {"source": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"},
        {"source": "mailto:cncf-wg-serverless@lists.cncf.io"},
        {"source": "a/b:c"},
        {"id": "\u00e4\u4e16"},
        {"time": "2026-11-25T08:00:00Z"},
        {"time": "2026-11-25t08:00:00.123456789+05:30"},
        {"time": "2016-12-31T23:59:60Z"},
        {"time": None, "subject": None, "dataschema": None},
        {"datacontenttype": 'text/plain; charset="utf-8"'},
        {"datacontenttype": "application/vnd.apache.thrift.binary"},
        {"dataschema": "https://schemas.example/threat/1"},
        {"data": None},
        {"data": "text"},
        {"data": {"deep": [1, 2.5, True, None, {}]}},
        {"data_base64": "AAEC"},
        {"data_base64": ""},
        {"subject": "asset \u2014 17"},
        {"partitionkey": "customer-1"},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01", "sampledrate": 5, "urgent": True},
        {"comexampleextension1": ""},
        {"comexampleextension2": None},
    ],
)
def test_what_the_specification_allows_is_accepted(changes: dict[str, Any]) -> None:
    assert faults_of(**changes) == []


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"id": "leave out"}, "id", "is missing"),
        ({"id": ""}, "id", "must not be empty"),
        ({"id": 7}, "id", "must be a string"),
        ({"id": None}, "id", "is missing"),
        ({"id": "a\u0007"}, "id", "contains a control character or a noncharacter, which no attribute may"),
        ({"id": "a\U0001fffe"}, "id", "contains a control character or a noncharacter, which no attribute may"),
        ({"ext": "\U0010ffff"}, "ext", "contains a control character or a noncharacter, which no attribute may"),
        ({"id": "x" * 1025}, "id", "may have 1024 bytes at most"),
        ({"source": "leave out"}, "source", "is missing"),
        (
            {"source": "not a uri"},
            "source",
            "must be a URI reference (RFC 3986), for example https://feeds.example/kev",
        ),
        ({"source": "1a:b"}, "source", "must be a URI reference (RFC 3986), for example https://feeds.example/kev"),
        ({"source": "/a%zz"}, "source", "must be a URI reference (RFC 3986), for example https://feeds.example/kev"),
        ({"type": ""}, "type", "must not be empty"),
        ({"type": ["a"]}, "type", "must be a string"),
        ({"specversion": "leave out"}, "specversion", "is missing"),
        ({"specversion": "0.3"}, "specversion", '"0.3" is not a version that is read here; send "1.0"'),
        ({"specversion": 1.0}, "specversion", '1.0 is not a version that is read here; send "1.0"'),
        ({"time": "yesterday"}, "time", "must be a time of RFC 3339, for example 2026-11-25T08:00:00Z"),
        ({"time": "2026-11-25"}, "time", "must be a time of RFC 3339, for example 2026-11-25T08:00:00Z"),
        ({"time": "2026-02-30T08:00:00Z"}, "time", "must be a time of RFC 3339, for example 2026-11-25T08:00:00Z"),
        ({"time": "2026-11-25T08:00:00"}, "time", "must be a time of RFC 3339, for example 2026-11-25T08:00:00Z"),
        ({"subject": ""}, "subject", "must not be empty"),
        ({"subject": "\u00e9" * 600}, "subject", "may have 1024 bytes at most"),
        ({"datacontenttype": ""}, "datacontenttype", "must be a media type of RFC 2046, for example application/json"),
        (
            {"datacontenttype": "json"},
            "datacontenttype",
            "must be a media type of RFC 2046, for example application/json",
        ),
        ({"dataschema": "/relative"}, "dataschema", "must be an absolute URI"),
        ({"data_base64": "A*=="}, "data_base64", "must be a string in Base64 (RFC 4648)"),
        ({"data_base64": "AAEC", "data": 1}, "data_base64", "stands beside data; send one of them"),
        ({"partitionkey": 5}, "partitionkey", "must be a string"),
        ({"ext": 2**31}, "ext", "must be a whole number of 32 bits; send a larger one as a string"),
        ({"ext": 1.5}, "ext", "must be a string, a whole number of 32 bits, true or false"),
        ({"ext": {"a": 1}}, "ext", "must be a string, a whole number of 32 bits, true or false"),
        (
            {"fooBar": "x"},
            "fooBar",
            "is not the name of an attribute: these have lower-case letters (a to z) and digits only",
        ),
        ({"data": {"a": "x\0"}}, "data.a", "contains the character U+0000, which cannot be stored"),
    ],
)
def test_what_it_does_not_is_refused_by_the_attributes_name(changes: dict[str, Any], path: str, message: str) -> None:
    assert faults_of(**changes) == [Fault(path, message)]


def test_all_faults_of_a_batch_are_named_at_once_with_their_index() -> None:
    batch = [GOOD, {**GOOD, "source": "", "type": 1}, "text", {**GOOD, "id": "2", "time": "x"}]
    with pytest.raises(Invalid) as refused:
        read_batch(orjson.dumps(batch), partitions=16, most=10)
    assert [fault.path for fault in refused.value.faults] == ["[1].source", "[1].type", "[2]", "[3].time"]


def test_numbers_that_would_be_changed_silently_are_refused_where_they_stand() -> None:
    body = b'[%s, {"specversion":"1.0","id":"2","source":"/s","type":"t","data":{"n":%s}}]'
    with pytest.raises(Invalid) as refused:
        read_batch(body % (orjson.dumps(GOOD), b"123456789012345678901234567890"), partitions=16, most=10)
    assert [fault.path for fault in refused.value.faults] == ["[1].data.n"]
    with pytest.raises(NotJson, match="infinity"):
        read_batch(body % (orjson.dumps(GOOD), b"1e999"), partitions=16, most=10)
    read_structured(orjson.dumps({**GOOD, "data": 2**64 - 1, "ext": "1234567890123456789012"}), partitions=16)


def test_nesting_that_nobody_could_walk_is_refused() -> None:
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    assert [fault.path.startswith("data[0]") for fault in faults_of(data=deep)] == [True]


def test_what_is_no_json_no_object_or_no_array_is_refused() -> None:
    with pytest.raises(NotJson):
        read_structured(b"{", partitions=16)
    with pytest.raises(NotJson):
        read_batch(b"\xff", partitions=16, most=10)
    for body in (b"[]", b"null", b'"x"', b"7"):
        with pytest.raises(Invalid):
            read_structured(body, partitions=16)
    with pytest.raises(Invalid):
        read_batch(orjson.dumps(GOOD), partitions=16, most=10)
    with pytest.raises(Invalid, match="send 1 at most"):
        read_batch(orjson.dumps([GOOD, GOOD]), partitions=16, most=1)
    assert read_batch(b"[]", partitions=16, most=10).events == 0


def test_a_repetition_within_a_batch_is_left_out_and_counted() -> None:
    batch = read_batch(orjson.dumps([GOOD, {**GOOD, "id": "2"}, GOOD]), partitions=16, most=10)
    assert (batch.events, batch.duplicates) == (2, 1)
    assert batch.sources == {"/scanner/7": 2}


CE = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]


@pytest.mark.parametrize(
    ("headers", "media", "body", "expected"),
    [
        ([], "application/json", b'{"a": 1}', {"data": {"a": 1}, "datacontenttype": "application/json"}),
        ([], "application/vnd.x+json", b"[1]", {"data": [1], "datacontenttype": "application/vnd.x+json"}),
        ([], "text/plain; charset=utf-8", b"caf\xc3\xa9", {"data": "caf\u00e9"}),
        ([], "image/png", b"\x89PNG", {"data_base64": "iVBORw=="}),
        ([], "text/plain", b"\xff\xfe", {"data_base64": "//4="}),
        ([], "", b"", {}),
        ([("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80")], "", b"", {"subject": "Euro \u20ac \U0001f600"}),
        ([("ce-subject", '"quoted \\" text"')], "", b"", {"subject": 'quoted " text'}),
        ([("x-other", "\xff")], "", b"", {}),
    ],
)
def test_binary_mode_makes_the_same_event_of_headers_and_body(
    headers: list[tuple[str, str]], media: str, body: bytes, expected: dict[str, Any]
) -> None:
    batch = read_binary([*CE, *headers], media, body, partitions=16)
    (entries,) = batch.partitions.values()
    event = orjson.loads(entries[0].text)
    assert {**event, **expected} == event
    assert event.get("data_base64") is None or "data" not in event


def test_faults_in_binary_mode_are_named_by_their_headers() -> None:
    with pytest.raises(Invalid) as refused:
        read_binary([("ce-specversion", "1.0"), ("ce-id", ""), ("ce-data", "x")], "nonsense", b"", partitions=16)
    paths = [fault.path for fault in refused.value.faults]
    assert paths == ["Content-Type", "ce-data", "ce-id", "ce-source", "ce-type"]


text = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
events = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": text, "source": st.just("/s"), "type": text},
    optional={"subject": text, "partitionkey": text, "data": values, "ext": st.integers(-(2**31), 2**31 - 1)},
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(events, max_size=20, unique_by=lambda event: event["id"]), st.integers(1, 64))
def test_nothing_of_an_event_is_lost_or_changed_and_each_key_is_in_one_partition(
    batch: list[dict[str, Any]], partitions: int
) -> None:
    read = read_batch(orjson.dumps(batch), partitions=partitions, most=100)

    stored = {number: decode(encode(entries)) for number, entries in read.partitions.items()}
    found = [(number, orjson.loads(entry.text)) for number, entries in stored.items() for entry in entries]
    wanted = [orjson.loads(orjson.dumps(event)) for event in batch]
    assert sorted((event for _, event in found), key=lambda event: event["id"]) == sorted(
        wanted, key=lambda event: event["id"]
    )
    for number, event in found:
        assert number == partition_of(event, partitions)
    for number, entries in stored.items():
        order = [event["id"] for event in batch if partition_of(event, partitions) == number]
        assert [entry.id for entry in entries] == order


@given(values)
def test_anything_at_all_is_either_read_or_refused_with_faults(value: Any) -> None:
    for body in (orjson.dumps(value), orjson.dumps([value])):
        try:
            read_batch(body, partitions=16, most=100)
        except Invalid as refused:
            if not refused.faults:
                raise


def test_the_partition_of_a_key_is_part_of_what_is_stored() -> None:
    assert partition_of({"subject": "asset-1"}, 16) == 7
    assert partition_of({"subject": "asset-1", "partitionkey": "k"}, 16) == partition_of({"partitionkey": "k"}, 16)
    assert partition_of({"source": "/s", "id": "1"}, 16) == 7
    assert partition_of({"source": "/s", "id": "2"}, 16) == 13


def test_blocks_are_compressed_where_that_pays_and_nonsense_is_no_block() -> None:
    small, large = [Entry("t", "/s", None, "1", b"{}")], [Entry("t", "/s", "x", str(n), b'{"a":1}') for n in range(99)]
    assert encode(small)[:1] == b"\0"
    assert encode(large)[:1] == b"\1"
    assert len(encode(large)) < 500
    assert (decode(encode(small)), decode(encode(large))) == (small, large)
    past = [Entry("t", "/s", None, "1", b"{}", (1, 2, "2026-11-25T08:00:00+00:00", "2026-11-25T08:00:00+00:00"))]
    assert decode(encode(past)) == past
    sent = [entry._replace(sender="key:feed") for entry in large]
    mixed = [entry._replace(sender=f"key:{place % 3}" if place else None) for place, entry in enumerate(large)]
    assert (decode(encode(sent)), decode(encode(mixed))) == (sent, mixed)
    for nonsense in (b"", b"\2x", b"\1x"):
        with pytest.raises(ValueError, match="not a block"):
            decode(nonsense)


def test_a_release_from_before_reads_blocks_that_name_their_senders() -> None:
    entries = [Entry("t", "/s", "x", str(n), b'{"a":1}', None, f"key:{n}") for n in range(3)]
    head, *texts = encode(entries)[1:].split(b"\n")
    types, sources, subjects, ids, past = orjson.loads(head)

    read = list(map(Entry, types, sources, subjects, ids, texts))

    assert past is None
    assert read == [entry._replace(sender=None) for entry in entries]
