"""Bodies that come compressed. What comes out is bounded like any body, however small what came in."""

import zlib

import zstandard
from rest_framework.exceptions import UnsupportedMediaType

from workflows.api.problems import BadRequest, PayloadTooLarge
from workflows.core.faults import Fault


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its `Content-Encoding`. Raises PayloadTooLarge past `limit` bytes, BadRequest for what is not
    so encoded, UnsupportedMediaType for encodings that are not read here."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        plain = body
    elif name in ("gzip", "x-gzip"):
        plain = _gunzip(body, limit)
    elif name == "zstd":
        plain = _unzstd(body, limit)
    else:
        raise UnsupportedMediaType(encoding, f'The encoding "{encoding[:60]}" is not read here; send gzip or zstd.')
    if len(plain) > limit:
        raise PayloadTooLarge(limit)
    return plain


def _gunzip(body: bytes, limit: int) -> bytes:
    out = bytearray()
    rest = body
    try:
        # A body may be several members one behind the other (RFC 1952, 2.2).
        while rest and len(out) <= limit:
            member = zlib.decompressobj(wbits=31)
            out += member.decompress(rest, limit + 1 - len(out))
            if len(out) <= limit and not member.eof:
                raise zlib.error("it ends too early")
            rest = member.unused_data
    except zlib.error as error:
        raise _not_encoded("gzip", str(error)) from error
    return bytes(out)


def _unzstd(body: bytes, limit: int) -> bytes:
    # A window beyond the limit is a way to have memory reserved for nothing.
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 23)
    try:
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            plain = reader.read(limit + 1)
            if len(plain) <= limit and not _complete(body):
                raise zstandard.ZstdError("it ends too early")
            return plain
    except zstandard.ZstdError as error:
        raise _not_encoded("zstd", str(error)) from error


def _complete(body: bytes) -> bool:
    """Whether the last frame is whole: the reader above would quietly stop in the middle of it."""
    while body:
        one = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()
        one.decompress(body)
        if not one.eof:
            return False
        body = one.unused_data
    return True


def _not_encoded(name: str, why: str) -> BadRequest:
    return BadRequest([Fault("Content-Encoding", f"the body is not {name}: {why}")], "The body cannot be decompressed.")
