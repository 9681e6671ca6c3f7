"""CloudEvents 1.0.2 as they come in over HTTP: structured, batched or binary, checked and made ready for the journal.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, …/formats/json-format.md (§2, §4) and
…/bindings/http-protocol-binding.md (§3.1). Every fault is named, with its attribute and, in a batch, its index.
"""

import base64
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from erip.foundation import json_values
from erip.foundation.faults import Fault, first
from erip.foundation.json_values import MAX_DEPTH
from workflows.core import attributes
from workflows.core.blocks import Entry

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

#: the charsets in which a text is read, and Python's names of them
CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}

#: faults that are reported for one request
MAX_FAULTS = 100


class NotJson(ValueError):
    """The body is not JSON at all."""


class Invalid(ValueError):
    """What came in is not a CloudEvent, or a batch of them."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


#: what else is wrong with an event whose attributes are sound: paths within it
Check = Callable[[Mapping[str, Any]], list[Fault]]


def _accept_any(event: Mapping[str, Any]) -> list[Fault]:
    return []


@dataclass(slots=True)
class Batch:
    """What one request brings: its events by partition, each in their order."""

    partitions: dict[int, list[Entry]] = field(default_factory=dict)
    events: int = 0
    #: events whose (source, id) came earlier in the same request: they are left out
    duplicates: int = 0
    #: number of events by source
    sources: dict[str, int] = field(default_factory=dict)
    #: types whose events have been sealed in it: what is sent once more, after a refusal for load, is sealed once
    sealed: frozenset[str] = frozenset()


def partition_of(event: Mapping[str, Any], count: int) -> int:
    """The partition, of `count`, that the event belongs to: events of one key go to the same one.

    The key is the extension `partitionkey`, else `subject`, else the event's identity. Stored data depends on this
    function: the same key must give the same partition in every process and release.
    """
    key = event.get("partitionkey") or event.get("subject") or f"{event['source']}\0{event['id']}"
    return zlib.crc32(key.encode()) % count


def read_structured(body: bytes, *, partitions: int, check: Check = _accept_any, sender: str | None = None) -> Batch:
    """One event. sender: the principal. Raises NotJson, Invalid."""
    event, faults = _parse(body, MAX_DEPTH)
    return _read([event], faults, partitions, check, sender, indexed=False)


def read_batch(
    body: bytes, *, partitions: int, most: int, check: Check = _accept_any, sender: str | None = None
) -> Batch:
    """An array of events, of which there may be none. sender: the principal. Raises NotJson, Invalid."""
    events, faults = _parse(body, MAX_DEPTH + 1)
    if not isinstance(events, list):
        raise Invalid([Fault("", f"must be an array of events: {BATCH} is a batch, {STRUCTURED} one event")])
    if len(events) > most:
        raise Invalid([Fault("", f"has {len(events)} events; send {most} at most in one request")])
    return _read(events, faults, partitions, check, sender, indexed=True)


def read_binary(
    headers: Iterable[tuple[str, str]],
    content_type: str,
    body: bytes,
    *,
    charset: str | None = None,
    partitions: int,
    check: Check = _accept_any,
    sender: str | None = None,
) -> Batch:
    """One event whose attributes are `ce-` headers and whose data is the body. Raises NotJson, Invalid.

    headers: names in lower case; values as they came, percent-encoded where they are not ASCII. charset: the one that
    content_type names, in lower case. Text is decoded with it; JSON is always UTF-8. A text that names no charset and
    is not UTF-8 is kept as bytes. sender: the principal.
    """
    event: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in headers:
        if not name.startswith("ce-"):
            continue
        attribute = name[3:]
        if attribute in ("data", "data_base64", "datacontenttype"):
            faults.append(Fault(name, "is not read in binary mode: the body is the data, Content-Type its type"))
        elif attribute in event:
            faults.append(Fault(name, "is there twice"))
        else:
            try:
                event[attribute] = _header_value(value)
            except ValueError:
                faults.append(Fault(name, "is not percent-encoded UTF-8"))
    if content_type:
        event["datacontenttype"] = content_type
    media = content_type.partition(";")[0].strip().lower()
    of_data: list[Fault] = []
    if body:
        if media in ("", "application/json", "text/json") or media.endswith("+json"):
            if charset is not None and CHARSETS.get(charset) not in ("utf-8", "ascii"):
                faults.append(Fault("Content-Type", "the charset must be utf-8: JSON is nothing else"))
            else:
                event["data"], of_data = _parse(body, MAX_DEPTH - 1, at="data")
        elif media.startswith("text/"):
            name, value, found = _text_data(body, charset)
            event[name] = value
            faults += found
        else:
            event["data_base64"] = base64.b64encode(body).decode()
    try:
        batch = _read([event], of_data, partitions, check, sender, indexed=False)
    except Invalid as error:
        faults += [_of_header(fault) for fault in error.faults]
    if faults:
        raise Invalid(sorted(faults))
    return batch


def _of_header(fault: Fault) -> Fault:
    """The fault of an attribute, which is named by its header."""
    if fault.path == "datacontenttype":
        return Fault("Content-Type", fault.message)
    if fault.path.startswith("data") and not fault.path.startswith("dataschema"):
        return fault
    return Fault(f"ce-{fault.path}" if fault.path else "", fault.message)


def _header_value(value: str) -> str:
    """HTTP binding, 3.1.3.2: unquoted, then percent-decoded. Raises ValueError."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    # What is not ASCII should have been percent-encoded; servers hand it on as Latin-1.
    raw = value.encode("latin-1", "strict")
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()


def _text_data(body: bytes, charset: str | None) -> tuple[str, str, list[Fault]]:
    """The attribute that holds a text, the text's value, and what is wrong with it."""
    codec = CHARSETS.get(charset or "utf-8")
    if codec is None:
        known = ", ".join(CHARSETS)
        fault = Fault("Content-Type", f'the charset "{str(charset)[:40]}" is not read here; send one of {known}')
        return "data", "", [fault]
    try:
        text = body.decode(codec)
    except UnicodeDecodeError:
        if charset is None:
            return "data_base64", base64.b64encode(body).decode(), []
        return "data", "", [Fault("data", f"is not {charset}, as Content-Type says")]
    if wrong := json_values.wrong_text(text):
        return "data", "", [Fault("data", wrong)]
    return "data", text, []


def _parse(body: bytes, deepest: int, *, at: str = "") -> tuple[Any, list[Fault]]:
    try:
        return json_values.look(body, at=at, deepest=deepest)
    except json_values.NotJson as error:
        raise NotJson(str(error)) from error


def _read(
    events: list[Any],
    of_values: list[Fault],
    partitions: int,
    check: Check,
    sender: str | None,
    *,
    indexed: bool,
) -> Batch:
    """Check the events and make them ready. of_values: what is wrong with their JSON. sender: the principal who sent
    them all."""
    faults: list[Fault] = []
    batch = Batch()
    seen: set[tuple[str, str]] = set()
    by_partition, sources = batch.partitions, batch.sources
    dumps, crc32 = orjson.dumps, zlib.crc32
    for index, event in enumerate(events):
        found = attributes.faults_of(event)
        if not found and not of_values:
            found = check(event)
        if found:
            faults += [_within(fault, index) for fault in found] if indexed else found
            if len(faults) > MAX_FAULTS:
                break
            continue
        if of_values:
            continue
        if None in event.values():
            event = {name: value for name, value in event.items() if value is not None or name == "data"}
        source, id_, subject = event["source"], event["id"], event.get("subject")
        identity = (source, id_)
        if identity in seen:
            batch.duplicates += 1
            continue
        seen.add(identity)
        key = event.get("partitionkey") or subject or f"{source}\0{id_}"
        number = crc32(key.encode()) % partitions
        entry = Entry(event["type"], source, subject, id_, dumps(event), None, sender)
        try:
            by_partition[number].append(entry)
        except KeyError:
            by_partition[number] = [entry]
        sources[source] = sources.get(source, 0) + 1
    if of_values:
        named = {fault.path for fault in faults}
        faults += [fault for fault in of_values if fault.path not in named]
    if faults:
        raise Invalid(first(faults, MAX_FAULTS))
    batch.events = len(seen)
    return batch


def _within(fault: Fault, index: int) -> Fault:
    return Fault(f"[{index}].{fault.path}" if fault.path else f"[{index}]", fault.message)
