"""Blocks: the stored form of the events of one partition that were accepted together.

The first byte says how the rest is written: 0 as it is, 1 compressed with zstd. The rest is a line of JSON, the arrays
[types, sources, subjects, ids, past], and then a line for each event, the CloudEvent in JSON. The event log needs to
parse only the first line. `past` is null except in blocks of events that come from the log again. Where the senders are
known there is one more line: the name of the one who sent all of them, or an array with one for each
event. (It is the last line because older releases read only as many lines as there are events.)
"""

import threading
from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

import orjson
import zstandard

#: bytes from which a block is compressed
COMPRESS_FROM = 512
_PLAIN, _ZSTD = b"\0", b"\1"
_LEVEL = 1
#: bytes that a block may have: somewhat more than a request
_MAX = 256 * 1024 * 1024

_local = threading.local()


class Entry(NamedTuple):
    """An event and the parts of it that are needed without parsing it."""

    type: str
    source: str
    subject: str | None
    id: str
    #: the whole CloudEvent in structured JSON, without line breaks between its parts
    text: bytes
    #: of an event from the log: its partition, position, and when it was logged and accepted (RFC 3339)
    past: tuple[int, int, str, str] | None = None
    #: the principal who sent it; None: the platform itself, or no longer known
    sender: str | None = None


class Columns(NamedTuple):
    """The events of a block by their attributes, for what is done with all of them at once: an object for each event
    costs as much as everything else that is done with most of them."""

    types: list[str]
    sources: list[str]
    subjects: list[str | None]
    ids: list[str]
    texts: list[bytes]
    past: list[list[Any]] | None
    #: the one who sent all of them, or a list with one for each event
    senders: str | list[str | None] | None
    #: all of it, as it was before it was compressed
    plain: bytes


def encode(entries: Sequence[Entry]) -> bytes:
    """The block's body, compressed if that pays off."""
    head = orjson.dumps(
        [
            [entry.type for entry in entries],
            [entry.source for entry in entries],
            [entry.subject for entry in entries],
            [entry.id for entry in entries],
            [entry.past for entry in entries] if entries and entries[0].past else None,
        ]
    )
    lines = [head, *[entry.text for entry in entries]]
    senders = {entry.sender for entry in entries}
    if senders != {None}:
        lines.append(orjson.dumps(senders.pop() if len(senders) == 1 else [entry.sender for entry in entries]))
    plain = b"\n".join(lines)
    if len(plain) < COMPRESS_FROM:
        return _PLAIN + plain
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        # One for each thread: they must not be shared.
        compressor = _local.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    packed: bytes = compressor.compress(plain)
    return _ZSTD + packed


def columns(body: bytes) -> Columns:
    """The events of a block. Raises ValueError if `encode` did not make the block."""
    if body[:1] == _ZSTD:
        decompressor = getattr(_local, "decompressor", None)
        if decompressor is None:
            decompressor = _local.decompressor = zstandard.ZstdDecompressor()
        try:
            plain = decompressor.decompress(body[1:], max_output_size=_MAX)
        except zstandard.ZstdError as error:
            raise ValueError(f"not a block: {error}") from error
    elif body[:1] == _PLAIN:
        plain = body[1:]
    else:
        raise ValueError("not a block: its first byte is not known")
    head, *texts = plain.split(b"\n")
    types, sources, subjects, ids, past = orjson.loads(head)
    senders = orjson.loads(texts.pop()) if len(texts) > len(types) else None
    return Columns(types, sources, subjects, ids, texts, past, senders, plain)


def decode(body: bytes) -> list[Entry]:
    """The events of a block, one by one. Raises ValueError if `encode` did not make the block."""
    return entries(columns(body))


def entries(of: Columns) -> list[Entry]:
    """The same events one by one."""
    origins = repeat(None) if of.past is None else map(tuple, of.past)
    senders = of.senders if isinstance(of.senders, list) else repeat(of.senders)
    return list(map(Entry, of.types, of.sources, of.subjects, of.ids, of.texts, origins, senders))
