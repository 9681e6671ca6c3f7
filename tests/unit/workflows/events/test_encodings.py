"""Decompression is linear and bounded, whatever the compressed bytes are made of."""

import contextlib
import gzip
import struct
import time
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import UnsupportedMediaType

from erip.foundation.http.problems import BadRequest, PayloadTooLarge
from workflows.events.api.encodings import MOST_PARTS, decoded

LIMIT = 5 * 1024 * 1024
PACK = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}
EMPTY = {"gzip": gzip.compress(b""), "zstd": PACK["zstd"](b"")}
encodings = pytest.mark.parametrize("encoding", sorted(PACK))


def refused(body, encoding, limit=LIMIT):
    """The error, and the seconds of processor time until it came."""
    began = time.thread_time()
    with pytest.raises((BadRequest, PayloadTooLarge)) as caught:
        decoded(body, encoding, limit)
    return caught.value, time.thread_time() - began


@given(parts=st.lists(st.binary(max_size=400), min_size=1, max_size=8), encoding=st.sampled_from(sorted(PACK)))
def test_what_was_compressed_in_any_number_of_parts_comes_out_whole(parts, encoding):
    body = b"".join(PACK[encoding](part) for part in parts)
    assert decoded(body, encoding, LIMIT) == b"".join(parts)


@given(body=st.binary(max_size=2_000), encoding=st.sampled_from(sorted(PACK)))
def test_any_bytes_are_decoded_or_refused(body, encoding):
    with contextlib.suppress(BadRequest, PayloadTooLarge):
        decoded(body, encoding, 100)


@given(data=st.binary(min_size=1, max_size=3_000), cut=st.integers(1, 40), encoding=st.sampled_from(sorted(PACK)))
def test_what_was_cut_short_is_refused(data, cut, encoding):
    packed = PACK[encoding](data)
    body = packed[: max(1, len(packed) - cut)]
    with pytest.raises(BadRequest):
        decoded(body, encoding, LIMIT)


@encodings
def test_large_bodies_of_many_blocks_come_out_whole(encoding):
    data = b"".join(struct.pack(">I", zlib.crc32(struct.pack(">I", n))) for n in range(1_000_000))
    assert decoded(PACK[encoding](data), encoding, LIMIT) == data
    spaces = b" " * LIMIT
    assert decoded(PACK[encoding](spaces), encoding, LIMIT) == spaces


@encodings
def test_a_body_filled_with_empty_parts_costs_next_to_nothing(encoding):
    error, seconds = refused(EMPTY[encoding] * (LIMIT // len(EMPTY[encoding])), encoding)
    assert isinstance(error, BadRequest)
    assert seconds < 5  # it was 30 s and 16 s


@encodings
def test_as_many_parts_as_are_allowed_are_read_in_linear_time(encoding):
    part = PACK[encoding](b"x" * 4_000)
    began = time.thread_time()
    assert len(decoded(part * MOST_PARTS, encoding, LIMIT)) == 4_000 * MOST_PARTS
    assert time.thread_time() - began < 5
    with pytest.raises(BadRequest):
        decoded(part * (MOST_PARTS + 1), encoding, LIMIT)


@encodings
def test_a_bomb_stops_at_the_limit(encoding):
    pack = PACK[encoding](b" " * 200_000_000)
    error, seconds = refused(pack, encoding)
    assert isinstance(error, PayloadTooLarge)
    assert seconds < 5


def test_a_zstd_frame_of_blocks_that_repeat_one_byte_stops_at_the_limit():
    # By hand, as no compressor makes it: 128 KiB from each 4 bytes.
    header = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(17 - 10) << 3])
    block = struct.pack("<I", (1 << 1) | (128 * 1024 << 3))[:3] + b"x"
    error, seconds = refused(header + block * 1_000_000, "zstd")
    assert isinstance(error, PayloadTooLarge)
    assert seconds < 5


def test_a_window_beyond_reason_is_refused():
    header = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3])
    error, _ = refused(header + struct.pack("<I", 1 | (1 << 3))[:3] + b"x", "zstd")
    assert isinstance(error, BadRequest)


def test_without_an_encoding_the_limit_holds_too():
    assert decoded(b"ab", "identity", 2) == b"ab"
    with pytest.raises(PayloadTooLarge):
        decoded(b"abc", "", 2)
    with pytest.raises(UnsupportedMediaType):
        decoded(b"", "br", 2)
    with pytest.raises(UnsupportedMediaType):
        decoded(b"", "gzip, gzip", 2)
