"""The registry of event types: it describes the data of each type's events, which are checked when they come in, and
says what of it is sealed (Note [Sealed events] in `workflows.privacy.events`).

A type need not be registered: events of other types are accepted as they are. A registered type has versions; each
accepts all that the one before accepts (Note [Compatible schemas] in `core/compatibility`), so events are checked
against the latest only, and those of older sources pass. A new version is in force within CHECK_SECONDS everywhere.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
import yaml
from django.db import transaction
from django.db.models import F

from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import is_passing
from erip.foundation.faults import Fault
from erip.foundation.hooks import at_bootstrap
from erip.foundation.hooks import shipped as shipped_types
from erip.foundation.shipped import Article, Source, Standing
from erip.foundation.tokens import Tokened
from erip.foundation.versioned import add_version, take_turn
from workflows import conf as workers
from workflows.core import sensitive
from workflows.core.compatibility import MAX_FAULTS, incompatibilities
from workflows.core.schema import Schema, SchemaInvalid, place
from workflows.core.sensitive import NOTHING, Parts, holds_sealed, parts_of
from workflows.core.source import content_hash
from workflows.errors import NotYetReadable
from workflows.events.errors import SchemaIncompatible, TypeInvalid, UnknownEventType
from workflows.events.models import EventType, EventTypeVersion
from workflows.events.store import triggers as store
from workflows.store import living_below

log = structlog.get_logger(__name__)

CHECK_SECONDS: Final = 1.0
VERSIONS_SHOWN: Final = 100
FIXTURE: Final = Path(__file__).parent / "fixtures" / "event-types.yaml"
#: the format level of workers that open events for the runs that they start (Note [Format levels] in `core/kinds`)
LEVEL: Final = 9
#: sensitive values of one event: each costs an encryption, and a hundred bytes
MOST_SEALED: Final = 1_000
#: the same of all events of one request
MOST_SEALED_AT_ONCE: Final = 10_000
#: what a schema must not accept in place of an object of which parts are sealed
_TEXTS: Final = ("", "text", "0")
#: who registered the types of the platform, as versions name their authors
PLATFORM: Final = "bootstrap"


@dataclass(frozen=True, slots=True)
class Known:
    """A type as events are checked against it. sealed: what of an event's data is. looked: what rules do with that, as
    far as it was asked."""

    schema: Schema
    sealed: Parts
    looked: dict[str, tuple[Fault, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registered:
    name: str
    number: int
    #: False where the latest version says the same
    created: bool


def register(name: str, schema: Any, *, description: str = "", author: str) -> Registered:
    """Register a schema as the next version of a type; the same again is a no-op.

    Raises TypeInvalid for what is no JSON Schema, SchemaIncompatible for one that may refuse what is accepted now, and
    NotYetReadable for one with sensitive data while a worker lives that does not know it.
    """
    try:
        compiled = Schema.compile(schema, at="schema")
    except SchemaInvalid as error:
        raise TypeInvalid(faults=error.faults) from None
    parts = parts_of(schema)
    digest = content_hash({"description": description, "schema": schema})
    text_for_parts = any(sensitive.astray(parts, text) and compiled.accepts(text) for text in _TEXTS)
    with transaction.atomic():
        type_, latest = take_turn(EventType, name)
        if latest is not None:
            if latest.content_hash == digest:
                return Registered(name, latest.number, False)
            # A release may correct the platform's own types: events that it now refuses started nothing before either.
            faults = [] if author == PLATFORM else incompatibilities(latest.schema, schema)
            # What is on its way is sealed, and only rules of a type that says so may open it.
            faults += [
                Fault("schema", f"{_data(path)} is sensitive in the version before, and not here: make another type")
                for path in sensitive.unmarked(parts_of(latest.schema), parts)[:MAX_FAULTS]
            ]
            if faults:
                raise SchemaIncompatible(faults=faults)
        if text_for_parts and (latest is None or not holds_sealed(parts_of(latest.schema))):
            message = "accepts a text, in which the parts that are sensitive could not be sealed: say its `type`"
            raise TypeInvalid(faults=[Fault("schema", message)])
        if holds_sealed(parts) and (behind := living_below(LEVEL, lease=workers.conf().lease)):
            # Whoever marks it relies on it: a worker of an earlier release would not open it for runs.
            raise NotYetReadable(behind)
        version = add_version(type_, content_hash=digest, description=description, schema=schema, author=author)
    forget()
    return Registered(name, version.number, True)


def _data(path: str) -> str:
    """A path in an event's data, as it is told."""
    return f"data{path}" if not path or path.startswith("[") else f"data.{path}"


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


def checker(size: int | None = None) -> Callable[[Mapping[str, Any]], list[Fault]]:
    """A function that finds the faults of an event whose type is registered: paths within the event, as
    `data.severity`.

    Ask for it once for each request: it looks at the registry at most every CHECK_SECONDS. It expects events with valid
    attributes that are not nested deeply. size: bytes of the request that contains them all.
    """
    known = _known.current().all
    values = 0

    def sealing_faults(parts: Parts, event: Mapping[str, Any]) -> list[Fault]:
        nonlocal values
        faults, count = _sealing_faults(parts, event)
        values += count
        if not faults and values > MOST_SEALED_AT_ONCE:
            message = f"there are more than {MOST_SEALED_AT_ONCE:,} sensitive values in the request up to here"
            return [Fault("data", f"{message}: send fewer events at once")]
        return faults

    def faults_of(event: Mapping[str, Any]) -> list[Fault]:
        found = known.get(event["type"])
        if found is None:
            return []
        schema = found.schema
        if schema.accepts(event.get("data"), size=size):
            return sealing_faults(found.sealed, event) if found.sealed else []
        if "data" in event:
            return schema.faults(event["data"], at="data", sealed=found.sealed)
        what = "of this type's events is JSON, as its registered schema has it"
        return [Fault("data_base64", f"the data {what}") if "data_base64" in event else Fault("data", "is required")]

    return faults_of


def _sealing_faults(parts: Parts, event: Mapping[str, Any]) -> tuple[list[Fault], int]:
    """(why an event's data cannot be sealed, the number of values that are)."""
    if "data_base64" in event:
        # A schema may accept that there is no `data`; nothing in these bytes could be sealed.
        return [Fault("data_base64", "the data of this type's events is JSON, of which parts are sealed")], 0
    data = event.get("data")
    if sensitive.mentions(data):
        return [Fault("data", f"has a key {sensitive.SEALED}, which only the platform writes")], 0
    if astray := sensitive.astray(parts, data):
        return [
            Fault(place("data", at), f"must be an {kind}, of which parts are sealed")
            for at, kind in astray[:MAX_FAULTS]
        ], 0
    if len(sensitive.subjects(parts, data)) > 1:
        message = "names several persons with `subject: true`: an event is about one, whose key seals it"
        return [Fault("data", message)], 0
    count = 0

    def counted(value: Any) -> Any:
        nonlocal count
        count += 1
        return value

    sensitive.change(parts, data, counted)
    if count > MOST_SEALED:
        return [Fault("data", f"has {count:,} sensitive values; an event has at most {MOST_SEALED:,}")], count
    return [], count


def sealed() -> Mapping[str, Known]:
    """The types with sensitive data."""
    return _known.current().sealed


def known_as_sealed(type_: str) -> Known | None:
    """A type with sensitive data. None: there is no such type, also after a look at what is registered now."""
    found = sealed().get(type_)
    if found is None and time.monotonic() - _looked_at[0] > LOOK_AGAIN:
        # Another process may know of a version that this one has not read yet: what it sealed must be opened here.
        _looked_at[0] = time.monotonic()
        _known.look_again()
        found = sealed().get(type_)
    return found


#: seconds between two looks for types that this process does not know
LOOK_AGAIN: Final = 0.25
_looked_at = [float("-inf")]


def forget() -> None:
    """Read anew at the next use: for tests, and for a process that just registered a type."""
    _known.forget()


@dataclass(frozen=True, slots=True)
class _Registry:
    all: Mapping[str, Known]
    sealed: Mapping[str, Known]


def _load() -> _Registry:
    found: dict[str, Known] = {}
    latest = EventTypeVersion.objects.filter(number=F("type__latest"))
    for name, schema in latest.values_list("type__name", "schema"):
        try:
            parts = parts_of(schema)
            found[name] = Known(Schema.compile(schema), parts if holds_sealed(parts) else NOTHING)
        except Exception as error:
            # A release that allowed more registered it. Its events are accepted like those of unknown types.
            log.error("event_type_not_loaded", type=name, error=error)
    return _Registry(found, {name: one for name, one in found.items() if one.sealed})


def _away(error: BaseException) -> bool:
    """Whether the database is away. The journal's writer outlasts a failover; until then the types read last will
    do."""
    if not is_passing(error):
        return False
    drop_connection()
    return True


_known: Tokened[_Registry] = Tokened(lambda: store.types_token(), _load, every=CHECK_SECONDS, outage=_away)


# --- those of the platform --------------------------------------------------------------------------------


@at_bootstrap("event_types")
def register_platform_types() -> int:
    """Register the types of the platform, and their new versions. Returns how many. A type whose latest version is
    somebody else's is left alone."""
    shipped = _shipped()
    left = {one.name for one in articles() if one.is_left_alone}
    made = [_register_shipped(name, entry) for name, entry in shipped.items() if name not in left]
    return sum(one.created for one in made)


def articles() -> list[Article]:
    """How the platform's types stand to those in the registry."""
    shipped = _shipped()
    here = {version.type.name: version for version in latest() if version.type.name in shipped}
    return [_article(name, entry, here.get(name)) for name, entry in shipped.items()]


def take(name: str) -> str:
    """Put the shipped version of a type in force, in place of somebody's."""
    return f"registered as version {_register_shipped(name, _shipped()[name]).number}, in force within a second"


def _shipped() -> dict[str, Any]:
    return dict(yaml.safe_load(FIXTURE.read_text(encoding="utf-8")))


def _register_shipped(name: str, entry: Mapping[str, Any]) -> Registered:
    return register(name, entry["schema"], description=entry["description"], author=PLATFORM)


def _article(name: str, entry: Mapping[str, Any], here: EventTypeVersion | None) -> Article:
    shipped = _text(entry["description"], entry["schema"])
    if here is None:
        return Article("event-type", name, Standing.NEW, shipped, None)
    if here.content_hash == content_hash({"description": entry["description"], "schema": entry["schema"]}):
        standing = Standing.SAME
    else:
        standing = Standing.OLDER if here.author == PLATFORM else Standing.YOURS
    by = f"version {here.number} by {here.author or 'somebody unnamed'}, {here.created_at:%Y-%m-%d}"
    return Article("event-type", name, standing, shipped, _text(here.description, here.schema), by)


def _text(description: str, schema: Any) -> str:
    return str(yaml.safe_dump({"description": description, "schema": schema}, allow_unicode=True, width=10_000))


shipped_types(Source("event-type", articles, take))
