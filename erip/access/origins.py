"""The sources and types of the events that a caller may send.

Note [Origins]
An API key is bound to patterns of sources and of types. `*` matches any, except:

- the platform's own sources and types (`reserve`): no key and no person may use them, whatever their patterns are;
- a source that a key is bound to by name: it is closed to callers whose pattern is `*`. So binding one key to a source
  takes that source from all unbound keys, and a quota of that source then belongs to that key alone. An expired key
  keeps its sources; a revoked one releases them.

Sources are compared in their canonical form (`references`), so that another spelling is the same source. Types are
compared as they are: they have only one spelling.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.db import InterfaceError, OperationalError

from .models import ApiKey
from .references import ANY, canonical, folded, matches, names, pattern_fault

#: seconds for which a process trusts the list it read of the sources that keys are bound to
CHECK_SECONDS = 1.0


NOT_ITS_SOURCE = "is not one of the sources that this caller is bound to"
OTHERS_SOURCE = "is a source that another API key is bound to"
NOT_ITS_TYPE = "is not one of the types that this caller is bound to"
#: the refusal of an event that another caller might send
NOT_BOUND = frozenset({NOT_ITS_SOURCE, OTHERS_SOURCE, NOT_ITS_TYPE})


@dataclass(slots=True)
class _Reserved:
    segments: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)


_reserved = _Reserved()


def reserve(*, segment: str, types: Sequence[str]) -> None:
    """Reserve sources beneath `/segment/`, and types that begin with one of `types`, for the platform itself. The
    arguments are in lower case. An app calls this in its `ready`."""
    _reserved.segments.add(segment)
    _reserved.types.update(types)


def own_source(source: str) -> bool:
    """Whether it could be taken for one of the platform's own."""
    hosts = _hosts(settings.ERIP_PUBLIC_URL)
    return any(names(source, segment, hosts) for segment in _reserved.segments)


@cache
def _hosts(url: str) -> frozenset[str]:
    host = urlsplit(url).hostname
    return frozenset([host.lower()] if host else [])


@lru_cache(maxsize=10_000)
def own_type(type_: str) -> bool:
    """Whether it could be taken for one of the platform's own."""
    text = folded(type_)
    return any(text.startswith(prefix) or text == prefix.rstrip(".") for prefix in _reserved.types)


def source_fault(pattern: str) -> str | None:
    """What is wrong with a pattern of sources that a key is to be bound to, or None."""
    fault = pattern_fault(pattern)
    if fault is None and pattern != ANY and own_source(pattern.removesuffix("*")):
        return "names sources of the platform itself, which no key may send"
    return fault


def type_fault(pattern: str) -> str | None:
    """What is wrong with a pattern of types that a key is to be bound to, or None."""
    if not pattern:
        return "must not be empty"
    if "*" in pattern[:-1]:
        return "may have `*` at its end only"
    if not pattern.isprintable():
        return "must have printable characters only"
    if pattern != ANY and own_type(pattern.removesuffix("*")):
        return "names types of the platform itself, which no key may send"
    return None


@dataclass(frozen=True, slots=True)
class Origins:
    """The patterns of sources and of types that one caller may use. No pattern: it may use nothing."""

    sources: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def refuses_source(self, source: str) -> str | None:
        """Why the caller may not send events from this source, for the caller to read; None if it may."""
        if own_source(source):
            return "is one of the platform's own sources, or could be taken for one"
        text = canonical(source)
        if any(pattern != ANY and matches(pattern, text) for pattern in self.sources):
            return None
        if ANY not in self.sources:
            return NOT_ITS_SOURCE
        if any(matches(pattern, text) for pattern in _bound()):
            return OTHERS_SOURCE
        return None

    def refuses_type(self, type_: str) -> str | None:
        """Why the caller may not send events of this type; None if it may."""
        if own_type(type_):
            return "is one of the platform's own types, or could be taken for one"
        if any(matches(pattern, type_) for pattern in self.types):
            return None
        return NOT_ITS_TYPE


#: for callers that may send nothing
NOTHING = Origins()
#: for callers that are bound to nothing: staff, and keys from before bindings existed
UNBOUND = Origins((ANY,), (ANY,))


# --- what keys are bound to by name -----------------------------------------------------------------------

_lock = threading.Lock()
_patterns: tuple[str, ...] | None = None
_until = 0.0


def forget() -> None:
    """Read again at the next use: for tests, and for a process that just bound a key."""
    global _patterns, _until
    with _lock:
        _patterns, _until = None, 0.0


def _bound() -> tuple[str, ...]:
    global _patterns, _until
    if _patterns is not None and time.monotonic() < _until:
        return _patterns
    with _lock:
        if _patterns is None or time.monotonic() >= _until:
            try:
                rows = ApiKey.objects.filter(revoked_at=None).exclude(sources=[ANY]).values_list("sources", flat=True)
                _patterns = tuple({pattern for row in rows for pattern in row if pattern != ANY})
            except (OperationalError, InterfaceError):
                # Events are accepted throughout a failover; the list read a moment ago is good enough meanwhile.
                if _patterns is None:
                    raise
            _until = time.monotonic() + CHECK_SECONDS
        return _patterns
