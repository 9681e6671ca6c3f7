"""The registry of event types: what the data of a type's events is like, checked when they come in.

A type need not be registered: events of other types are accepted as they are. One that is has versions; each accepts
all that the one before accepts (Note [Compatible schemas] in `core/compatibility`), so only the latest is checked
against, and events of older sources pass. A new version is in force within CHECK_SECONDS everywhere.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
import yaml
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F

from erip.foundation.db.connections import drop_connection
from erip.foundation.faults import Fault
from erip.foundation.hooks import at_bootstrap
from workflows.core.compatibility import incompatibilities
from workflows.core.schema import Schema, SchemaInvalid
from workflows.core.source import content_hash
from workflows.events.errors import SchemaIncompatible, TypeInvalid, UnknownEventType
from workflows.events.models import EventType, EventTypeVersion
from workflows.events.store import triggers as store

log = structlog.get_logger(__name__)

CHECK_SECONDS: Final = 1.0
VERSIONS_SHOWN: Final = 100
FIXTURE: Final = Path(__file__).parent / "fixtures" / "event-types.yaml"
#: who registered the types of the platform, as versions name their authors
PLATFORM: Final = "bootstrap"


@dataclass(frozen=True, slots=True)
class Registered:
    name: str
    number: int
    #: False where the latest version says the same
    created: bool


def register(name: str, schema: Any, *, description: str = "", author: str) -> Registered:
    """Register a schema as the next version of a type; the same again is a no-op.

    Raises TypeInvalid for what is no JSON Schema, SchemaIncompatible for one that may refuse what is accepted now.
    """
    try:
        Schema.compile(schema, at="schema")
    except SchemaInvalid as error:
        raise TypeInvalid(faults=error.faults) from None
    digest = content_hash({"description": description, "schema": schema})
    with transaction.atomic():
        EventType.objects.get_or_create(name=name)
        # Those who register the same type take turns, or two could take the same number.
        type_ = EventType.objects.select_for_update().get(name=name)
        latest = type_.versions.filter(number=type_.latest).first()
        if latest is not None:
            if latest.content_hash == digest:
                return Registered(name, latest.number, False)
            # A release may correct the platform's own types: what it refuses now started nothing before either.
            faults = [] if author == PLATFORM else incompatibilities(latest.schema, schema)
            if faults:
                raise SchemaIncompatible(faults=faults)
        version = EventTypeVersion.objects.create(
            type=type_,
            number=type_.latest + 1,
            content_hash=digest,
            description=description,
            schema=schema,
            author=author,
        )
        type_.latest = version.number
        type_.save(update_fields=["latest"])
    forget()
    return Registered(name, version.number, True)


def latest() -> list[EventTypeVersion]:
    """The latest version of each type, by name."""
    versions = EventTypeVersion.objects.filter(number=F("type__latest")).select_related("type")
    return list(versions.order_by("type__name"))


def history(name: str) -> list[EventTypeVersion]:
    """A type's versions, newest first. Raises UnknownEventType."""
    versions = EventTypeVersion.objects.filter(type__name=name).select_related("type").order_by("-number")
    found = list(versions[:VERSIONS_SHOWN])
    if not found:
        raise UnknownEventType
    return found


# --- what comes in ----------------------------------------------------------------------------------------

_lock = threading.Lock()
_schemas: Mapping[str, Schema] = {}
_token: Any = None
_checked_at = float("-inf")


def checker(size: int | None = None) -> Callable[[Mapping[str, Any]], list[Fault]]:
    """What finds the faults of an event whose type is registered: paths within the event, as `data.severity`.

    Ask for it once for each request: it looks at the registry at most every CHECK_SECONDS. The events' attributes are
    sound, and they are not nested deeply. size: bytes of the request that they are all in.
    """
    schemas = _current()

    def faults_of(event: Mapping[str, Any]) -> list[Fault]:
        schema = schemas.get(event["type"])
        if schema is None or schema.accepts(event.get("data"), size=size):
            return []
        if "data" in event:
            return schema.faults(event["data"], at="data")
        what = "of this type's events is JSON, as its registered schema has it"
        return [Fault("data_base64", f"the data {what}") if "data_base64" in event else Fault("data", "is required")]

    return faults_of


def forget() -> None:
    """Read anew at the next use: for tests, and for a process that just registered a type."""
    global _token, _checked_at
    with _lock:
        _token, _checked_at = None, float("-inf")


def _current() -> Mapping[str, Schema]:
    global _schemas, _token, _checked_at
    if time.monotonic() - _checked_at < CHECK_SECONDS:
        return _schemas
    with _lock:
        try:
            token = store.types_token()
            if token != _token:
                _schemas, _token = _load(), token
        except (OperationalError, InterfaceError):
            # The journal's writer outlasts a failover; what was registered a moment ago is good enough meanwhile.
            if _token is None:
                raise
            drop_connection()
        _checked_at = time.monotonic()
        return _schemas


def _load() -> Mapping[str, Schema]:
    found: dict[str, Schema] = {}
    latest = EventTypeVersion.objects.filter(number=F("type__latest"))
    for name, schema in latest.values_list("type__name", "schema"):
        try:
            found[name] = Schema.compile(schema)
        except Exception as error:
            # Registered by a release that allowed more. Its events are accepted as those of unknown types are.
            log.error("event_type_not_loaded", type=name, error=error)
    return found


# --- those of the platform --------------------------------------------------------------------------------


@at_bootstrap("event_types")
def register_platform_types() -> int:
    """Register the types of the platform, and their new versions; how many. One that somebody else has registered, or
    has made a version of, is theirs and left alone."""
    document = yaml.safe_load(FIXTURE.read_text(encoding="utf-8"))
    theirs = set(EventTypeVersion.objects.exclude(author=PLATFORM).values_list("type__name", flat=True))
    made = [
        register(name, entry["schema"], description=entry["description"], author=PLATFORM)
        for name, entry in document.items()
        if name not in theirs
    ]
    return sum(one.created for one in made)
