"""The rules of CloudEvents' context attributes: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md §3.

Called for each event, so valid values are recognised quickly, and repeated ones (types, sources) are remembered.
"""

import binascii
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from erip.foundation.faults import Fault
from workflows.core import formats

#: bytes that an attribute may have: they are kept in indexes, which hold no more
MAX_BYTES = {"id": 1024, "source": 1024, "type": 255, "subject": 1024, "partitionkey": 1024}

_REQUIRED = ("id", "source", "type", "specversion")
_NAMES = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64")
)
_EXTENSION = re.compile(r"[a-z0-9]+")
_PLANES = range(0, 0x110000, 0x10000)
# Control characters, surrogates and noncharacters (§3.1, String).
# The last two of each of the 17 planes are noncharacters, and 32 in the first.
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in _PLANES)
_FORBIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
_URI = r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
_REFERENCE = re.compile(rf"{_URI}*(?:#{_URI}*)?")
_ABSOLUTE = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:{_URI}+(?:#{_URI}*)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  (RFC 2045's word)
_MEDIA = re.compile(rf'{_TOKEN}/{_TOKEN}(?:\s*;\s*{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))*\s*;?\s*')
_INT32 = range(-(2**31), 2**31)


def faults_of(event: Any) -> list[Fault]:
    """Everything that is wrong with the attributes of one event; none if it is a CloudEvent."""
    if type(event) is not dict:
        return [Fault("", "must be an object: a CloudEvent")]
    get = event.get
    id_, source, type_ = get("id"), get("source"), get("type")
    if (
        get("specversion") == "1.0"
        and type(id_) is str
        and 0 < len(id_) <= 255
        and id_.isprintable()
        and type(source) is str
        and _source_is_good(source)
        and type(type_) is str
        and _type_is_good(type_)
    ):
        rest = [name for name in event if name not in _PLAIN]
        if not rest or not _rest_faults(event, rest):
            return []
    return _all_faults(event)


#: attributes that the quick check covers, or that need no check
_PLAIN = frozenset(("specversion", "id", "source", "type", "data"))


def _rest_faults(event: dict[str, Any], names: list[str]) -> list[Fault]:
    faults: list[Fault] = []
    for name in names:
        value = event[name]
        if value is None and name != "data_base64":
            if name not in _NAMES and not _EXTENSION.fullmatch(name):
                faults.append(Fault(name, _BAD_NAME))
            continue  # JSON format, 2.2: the same as if it were not there
        if name == "time":
            if type(value) is not str or not _time_is_good(value):
                faults.append(Fault(name, "must be a time of RFC 3339, for example 2026-11-25T08:00:00Z"))
        elif name == "subject":
            faults += _string_faults(name, value)
        elif name == "datacontenttype":
            if type(value) is not str or not _media_is_good(value):
                faults.append(Fault(name, "must be a media type of RFC 2046, for example application/json"))
        elif name == "dataschema":
            if type(value) is not str or not _ABSOLUTE.fullmatch(value):
                faults.append(Fault(name, "must be an absolute URI"))
        elif name == "data_base64":
            faults += _base64_faults(event, value)
        elif name == "partitionkey":
            faults += _string_faults(name, value)
        elif not _EXTENSION.fullmatch(name):
            faults.append(Fault(name, _BAD_NAME))
        else:
            faults += _extension_faults(name, value)
    return faults


_BAD_TEXT = "contains a control character or a noncharacter, which no attribute may"
_BAD_NAME = "is not the name of an attribute: these have lower-case letters (a to z) and digits only"


def _all_faults(event: dict[str, Any]) -> list[Fault]:
    faults: list[Fault] = []
    for name in _REQUIRED:
        value = event.get(name)
        if value is None:
            faults.append(Fault(name, "is missing"))
        elif name == "specversion":
            if value != "1.0":
                faults.append(Fault(name, f'{_shown(value)} is not a version that is read here; send "1.0"'))
        else:
            found = _string_faults(name, value)
            if not found and name == "source" and not _is_reference(value):
                found = [Fault(name, "must be a URI reference (RFC 3986), for example https://feeds.example/kev")]
            faults += found
    faults += _rest_faults(event, [name for name in event if name not in _PLAIN])
    return faults


def _string_faults(name: str, value: Any) -> list[Fault]:
    if type(value) is not str:
        return [Fault(name, "must be a string")]
    if not value:
        return [Fault(name, "must not be empty")]
    most = MAX_BYTES[name]
    if len(value) * 4 > most and len(value.encode("utf-8", "surrogatepass")) > most:
        return [Fault(name, f"may have {most} bytes at most")]
    if not value.isprintable() and _FORBIDDEN.search(value):
        return [Fault(name, _BAD_TEXT)]
    return []


def _extension_faults(name: str, value: Any) -> list[Fault]:
    if type(value) is str:
        if not value.isprintable() and _FORBIDDEN.search(value):
            return [Fault(name, _BAD_TEXT)]
    elif type(value) is int:
        if value not in _INT32:
            return [Fault(name, "must be a whole number of 32 bits; send a larger one as a string")]
    elif type(value) is not bool:
        return [Fault(name, "must be a string, a whole number of 32 bits, true or false")]
    return []


def _base64_faults(event: dict[str, Any], value: Any) -> list[Fault]:
    faults = []
    if "data" in event:
        faults.append(Fault("data_base64", "stands beside data; send one of them"))
    try:
        if type(value) is not str:
            raise ValueError
        binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    except ValueError:
        faults.append(Fault("data_base64", "must be a string in Base64 (RFC 4648)"))
    return faults


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 40 else f"{text[:37]}..."


@lru_cache(maxsize=10_000)
def _source_is_good(source: str) -> bool:
    return not _string_faults("source", source) and _is_reference(source)


@lru_cache(maxsize=10_000)
def _type_is_good(type_: str) -> bool:
    return not _string_faults("type", type_)


@lru_cache(maxsize=1_000)
def _media_is_good(media: str) -> bool:
    return _MEDIA.fullmatch(media) is not None


def _is_reference(text: str) -> bool:
    """RFC 3986, 4.1: a URI or a relative reference."""
    if not _REFERENCE.fullmatch(text):
        return False
    # In a relative reference a colon may not stand in the first segment: it would be a scheme.
    first = re.split(r"[/?#]", text, maxsplit=1)[0]
    return ":" not in first or _SCHEME.fullmatch(first.partition(":")[0]) is not None


def _time_is_good(text: str) -> bool:
    """RFC 3339. Most times are written in one way, which is checked without the pattern (5 times faster)."""
    if text[4:5] == text[7:8] == "-" and text[10:11] == "T" and text[13:14] == text[16:17] == ":" and text[-1:] == "Z":
        fraction = text[19:-1]
        if not fraction or (fraction[0] == "." and fraction[1:].isdecimal() and fraction.isascii()):
            try:
                datetime.fromisoformat(text[:19])
            except ValueError:
                pass  # a leap second, perhaps
            else:
                return text[:19].isascii()
    return formats.holds("date-time", text)
