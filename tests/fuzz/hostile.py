"""Values that somebody has once forgotten to think of."""

import base64
import random
from collections.abc import Callable
from typing import Any

#: percent-encoded or plain, as they stand in a URL
URL_TEXTS = [
    "", "%00", "a%00b", "%F0%9F%BF%BE", "%ED%A0%80", "%ED%BF%BF", "%C0%80", "%FF", "%", "%zz", "%E2%80%AE", "+", "%0A",
    "%0D%0AX:%20y", "%20", "%25", "%2F", "..%2F..%2Fetc%2Fpasswd", "'", "%22", "';--", "%7B%7B7*7%7D%7D", "%24%7Bx%7D",
    "%D9%A3", "%EF%BC%91", "%C2%B2", "a" * 5000, "%F0%9F%98%80" * 300, "null", "true", "NaN", "Infinity", "__proto__",
    "[]", "{}", "-", "_", ".", "..", "*", "(", "\\", "%5C", "|", "~", "^", "`", "\xff", "\xe9", "%u0041", "&", "=", ";",
    "%EF%BF%BE", "%EF%BB%BF", "%CD%8F" * 50, "%E0%A4%B9%E0%A5%8D", "1e5", "0x10", "1_000", "%201", "1%20", "+1", "-0",
]  # fmt: skip
NUMBERS = [
    "0", "-1", "1", "2", "50", "200", "201", "1000", "1001", "2147483647", "2147483648", "4294967296",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 400, "1.5", "1e2", "-9" + "9" * 30,
    "00000000001", "０", "٣", "1_0", " 1", "0b1", "NaN", "inf", "",
]  # fmt: skip
TIMES = [
    "2026-11-25T08:00:00Z", "2026-11-25T23:59:60Z", "2026-06-30T23:59:60.5Z", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", "99999-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-25T24:00:00Z", "2026-11-25",
    "2026-11-25T08:00:00", "2026-W48-3", "20261125T080000Z", "2026-11-25T08:00:00+24:00", "2026-11-25T08:00:00+99:99",
    "2026-11-25t08:00:00z", "2026-11-25 08:00:00Z", "2026-11-25T08:00:00.123456789123Z", "now", "0", "1764057600",
    "٢٠٢٦-11-25T08:00:00Z", "2026-11-25T08:00:00Z\x00", "4714-11-24T00:00:00Z BC", "294277-01-01T00:00:00Z",
]  # fmt: skip
IDS = [
    "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B", "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b", "{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}",
    "urn:uuid:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "0", "1", "-1", "999999999999999999", "9999999999999999999",
    "0-0", "0-1", "99999-999999999999999999", "7-1234", "00000-000000000000000000", "x", "٣-٣",
]  # fmt: skip
HEADERS = [
    "", " ", "a", '"', '"a', "a,b", ",,,", ";;;", "=", '"\\"', "\x7f", "\xff\xfe", "\xc3\xa9", "a" * 4000, "\t", "a;b=c;d",
    'wait="5', "wait=99999999999999999999", "0", "-1", "*", "W/\"x\"", "*/*;q=2", "text/html", "application/json;charset=utf-7",
    "application/json; charset=utf-16", "application/xml", "multipart/form-data", "multipart/form-data; boundary=",
    "application/x-www-form-urlencoded", "gzip", "gzip, gzip", "zstd", "identity", "deflate;q=0", "Bearer", "Bearer ", "Basic Og==",
    "bearer x y", "Digest a=b", "00-00000000000000000000000000000000-0000000000000000-00", "00-" + "f" * 32 + "-" + "f" * 16 + "-01",
    "ff-" + "0" * 32, "a=1,b=2;p", "a=%00", "0/0", "primary", "FFFFFFFF/FFFFFFFF", "FFFFFFFFF/0", "-1/0", "bytes=0-", "100-continue",
]  # fmt: skip
HEADER_NAMES = [
    "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Baggage", "Cache-Control", "Content-Encoding",
    "Content-Language", "Content-Type", "Cookie", "ERIP-Consistency-Token", "Expect", "Forwarded", "Host", "Idempotency-Key",
    "If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since", "Last-Event-ID", "Origin", "Prefer", "Range",
    "Referer", "TE", "Traceparent", "Tracestate", "Upgrade", "User-Agent", "X-Correlation-ID", "X-CSRFToken",
    "X-Forwarded-For", "X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Request-ID", "ce-id", "ce-source", "ce-type",
    "ce-specversion", "ce-subject", "ce-time", "ce-data", "ce-x", "ce-\x80",
]  # fmt: skip
#: JSON texts of one value
JSON = [
    "null", "true", "0", "-0", "-0.0", "1e22", "1e308", "1e309", "-1e400", "1e-400", "18446744073709551615", "18446744073709551616",
    "-9223372036854775809", "0.1", "1.0", '""', '"\\u0000"', '"a\\u0000b"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ufffe"',
    '"\\udbff\\udfff"', "[]", "{}", "[[[[[]]]]]", '{"":0}', '{"a":1,"a":2}', '{"\\u0000":1}', '{"__proto__":{}}', '"$ref"',
    '"${{ input }}"', '"${{ 1 / 0 }}"', '"${{ "', '"2026-11-25T23:59:60Z"', '"99999-01-01T00:00:00Z"', '"' + "x" * 3000 + '"',
    "[" * 70 + "]" * 70, "9" * 400, "NaN", "Infinity", "tru", '"\x00"', '"\t"', "\xff", '{"a":', "[1,]", "'a'", "",
    '{"$ref":"#"}', '{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}', '{"pattern":"(a+)+$"}',
]  # fmt: skip

Maker = Callable[[random.Random], str]


def url_text(chance: random.Random) -> str:
    kind = chance.randrange(6)
    if kind == 0:
        return "".join(f"%{chance.randrange(256):02X}" for _ in range(chance.randrange(1, 30)))
    if kind == 1:
        return cursor(chance)
    return chance.choice(chance.choice([URL_TEXTS, NUMBERS, TIMES, IDS]))


def cursor(chance: random.Random) -> str:
    """What looks like a cursor, because it is encoded like one."""
    inside = chance.choice(
        [
            f"{chance.choice(TIMES)} {chance.choice(NUMBERS)} {chance.choice(NUMBERS)}",
            f"{chance.choice(TIMES)} 1 1",
            chance.choice(IDS),
            chance.choice(NUMBERS),
            "\x00",
            "a\x00",
            "\ufdd0",
            "1:2,3:4",
            "x" * 300,
            '{"a":1}',
        ]
    )
    text = base64.urlsafe_b64encode(inside.encode("utf-8", "surrogatepass")).decode()
    return chance.choice([text, text.rstrip("="), text[:-1], text + "A", text.swapcase(), inside])


def header_value(chance: random.Random) -> str:
    if chance.randrange(5) == 0:
        return "".join(chr(chance.choice([9, *range(32, 256)])) for _ in range(chance.randrange(40)))
    return chance.choice(chance.choice([HEADERS, TIMES, IDS, NUMBERS]))


def json_text(chance: random.Random, schema: Any = None, depth: int = 0) -> str:
    """A JSON text, or nearly one: of the shape that `schema` asks for as often as not."""
    if schema is None or chance.randrange(5) == 0 or depth > 5:
        return chance.choice(JSON)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = chance.choice(kind)
    if "enum" in schema and chance.randrange(4):
        return str_json(str(chance.choice(schema["enum"])))
    if kind == "object" or "properties" in schema:
        members = [
            f"{str_json(name)}:{json_text(chance, inner, depth + 1)}"
            for name, inner in schema.get("properties", {}).items()
            if name in schema.get("required", ()) or chance.randrange(3)
        ]
        if chance.randrange(6) == 0:
            members.append(f'"unknown":{chance.choice(JSON)}')
        return "{" + ",".join(members) + "}"
    if kind == "array":
        count = chance.choice([0, 1, 1, 2, 5])
        return "[" + ",".join(json_text(chance, schema.get("items"), depth + 1) for _ in range(count)) + "]"
    if kind == "string":
        texts = TIMES if schema.get("format") == "date-time" else IDS if schema.get("format") == "uuid" else HEADERS
        return str_json(chance.choice(texts))
    if kind in ("integer", "number"):
        return chance.choice(["0", "1", "-1", "2147483648", "1e22", "1.5", "9223372036854775808"])
    if kind == "boolean":
        return chance.choice(["true", "false", "0", '"true"'])
    return chance.choice(JSON)


def str_json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\x00", "\\u0000") + '"'


def broken(chance: random.Random, content: bytes) -> bytes:
    """The same with some bytes changed, dropped or repeated."""
    out = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        if not out:
            break
        at = chance.randrange(len(out))
        kind = chance.randrange(4)
        if kind == 0:
            out[at] = chance.randrange(256)
        elif kind == 1:
            del out[at : at + chance.randrange(1, 5)]
        elif kind == 2:
            out[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 5)))
        else:
            out[at:at] = out[max(0, at - 20) : at]
    return bytes(out)
