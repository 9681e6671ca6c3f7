"""Bodies that come compressed. What comes out is bounded like any body, however small what came in.

Note [Bounds of decompression]
A body may be several members (gzip, RFC 1952 section 2.2) or frames (zstd, RFC 8878 section 3.1), one behind the other.
Each needs a new decompressor, even if it is empty: 5 MiB hold 262,144 empty gzip members. So their number is bounded,
and no byte is copied or read twice for the next member: the input that a decompressor did not use only shows where the
next member begins. The output is checked against the body's limit while it is produced, whatever the ratio; the ratio
itself has no bound, as events of one kind compress a hundredfold. A clock bounds the rest: the processor time of this
thread, so that a busy machine refuses nothing that an idle one takes.
"""

import time
import zlib

import zstandard
from rest_framework.exceptions import UnsupportedMediaType

from erip.foundation.faults import Fault
from erip.foundation.http.problems import BadRequest, PayloadTooLarge

#: members or frames of one body; a client that compresses in blocks of 64 KiB needs 80 for the largest body
MOST_PARTS = 1_024
#: seconds of processor time; the largest body takes 0.02 s to 0.1 s
MOST_SECONDS = 2.0
#: compressed bytes that are handed over at once
_GZIP_SLICE = 64 * 1024
# A block of zstd makes 128 KiB out of four bytes, and the library returns all that one slice gives: 16 MiB here.
_ZSTD_SLICE = 512
#: a window beyond this is a way to have memory reserved for nothing
_ZSTD_WINDOW = 1 << 23


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its `Content-Encoding`. Raises PayloadTooLarge past `limit` bytes, BadRequest for a body that is
    not in this encoding or has more than MOST_PARTS members, UnsupportedMediaType for encodings that are not read
    here."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        if len(body) > limit:
            raise PayloadTooLarge(limit)
        return body
    if name in ("gzip", "x-gzip"):
        return _gunzip(body, limit)
    if name == "zstd":
        return _unzstd(body, limit)
    raise UnsupportedMediaType(encoding, f'The encoding "{encoding[:60]}" is not read here; send gzip or zstd.')


def _gunzip(body: bytes, limit: int) -> bytes:
    plain = _Plain("gzip", limit)
    rest = memoryview(body)
    at = 0
    try:
        while at < len(rest):
            plain.begin_part()
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                piece = rest[at : at + _GZIP_SLICE]
                at += len(piece)
                plain.add(member.decompress(piece, plain.room + 1), more=bool(piece))
                at -= len(member.unused_data)
    except zlib.error as error:
        raise _not_encoded("gzip", str(error)) from error
    return bytes(plain.out)


def _unzstd(body: bytes, limit: int) -> bytes:
    plain = _Plain("zstd", limit)
    rest = memoryview(body)
    at = 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        while at < len(rest):
            plain.begin_part()
            frame = decompressor.decompressobj()
            while not frame.eof:
                piece = rest[at : at + _ZSTD_SLICE]
                at += len(piece)
                plain.add(frame.decompress(piece), more=bool(piece))
                at -= len(frame.unused_data)
    except zstandard.ZstdError as error:
        raise _not_encoded("zstd", str(error)) from error
    return bytes(plain.out)


class _Plain:
    """The output so far, within the bounds. Raises PayloadTooLarge and BadRequest past them."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.out = bytearray()
        self._encoding = encoding
        self._limit = limit
        self._parts = 0
        self._ends = time.thread_time() + MOST_SECONDS

    @property
    def room(self) -> int:
        """Bytes that may still come out."""
        return self._limit - len(self.out)

    def begin_part(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _not_encoded(self._encoding, f"it has more than {MOST_PARTS} members or frames")

    def add(self, plain: bytes, *, more: bool) -> None:
        """more: whether there was input left to read."""
        self.out += plain
        if len(self.out) > self._limit:
            raise PayloadTooLarge(self._limit)
        if not more:
            raise _not_encoded(self._encoding, "it ends too early")
        if time.thread_time() > self._ends:
            raise _not_encoded(self._encoding, f"it takes more than {MOST_SECONDS:g} s to decompress")


def _not_encoded(name: str, why: str) -> BadRequest:
    return BadRequest([Fault("Content-Encoding", f"the body is not {name}: {why}")], "The body cannot be decompressed.")
