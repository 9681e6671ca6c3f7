"""Where a reader of the event log stands: for each partition, the position of the first event that it has not seen.

As text it is opaque: base64url of a version byte and a varint (LEB128) for each partition, by their numbers.
"""

import base64
import binascii
from collections.abc import Mapping

_VERSION = 1
_MAX_BYTES = 16 * 1024


def encode(positions: Mapping[int, int]) -> str:
    """positions: by partition, from 0 on without a gap."""
    written = bytearray([_VERSION])
    for number in range(len(positions)):
        position = positions[number]
        while position >= 0x80:
            written.append(position & 0x7F | 0x80)
            position >>= 7
        written.append(position)
    return base64.urlsafe_b64encode(written).rstrip(b"=").decode()


def decode(text: str) -> dict[int, int]:
    """Raises ValueError if `encode` did not make the text."""
    if len(text) > _MAX_BYTES or not text.isascii():
        raise ValueError("is not the id of an event of a stream")
    try:
        read = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("is not the id of an event of a stream") from error
    if read[:1] != bytes([_VERSION]) or len(read) < 2 or read[-1] >= 0x80:
        raise ValueError("is not the id of an event of a stream")
    positions: dict[int, int] = {}
    position, shift = 0, 0
    for byte in read[1:]:
        position |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise ValueError("is not the id of an event of a stream")
        if byte < 0x80:
            positions[len(positions)] = position
            position, shift = 0, 0
    return positions
