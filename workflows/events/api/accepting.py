"""What `POST /api/v1/events` does, whichever way the request comes in."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import UnsupportedMediaType

from erip.foundation.faults import Fault
from erip.foundation.http.problems import BadRequest
from workflows.core.cloudevents import (
    BATCH,
    STRUCTURED,
    Batch,
    Check,
    Invalid,
    NotJson,
    read_batch,
    read_binary,
    read_structured,
)
from workflows.core.lifecycle import OWN_SOURCES
from workflows.events import ingest, types
from workflows.events.conf import conf
from workflows.events.errors import EventsInvalid

from .encodings import decoded


def accept(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Accept the events of a request: when this returns they are durable. Returns the answer's document.

    Raises APIException and WorkflowsError.
    """
    ingest.knock(max(1, body.count(b'"specversion"')))
    limit = conf().body_limit
    plain = decoded(body, headers.get("Content-Encoding", ""), limit)
    try:
        batch = read(headers, plain)
    except NotJson as error:
        raise BadRequest([Fault("", str(error))], "The body is not JSON.") from error
    except Invalid as error:
        raise EventsInvalid(faults=error.faults) from error
    if batch.events:
        ingest.accept(batch)
    return {"accepted": batch.events, "duplicates": batch.duplicates}


def read(headers: Mapping[str, str], body: bytes) -> Batch:
    """The events of a request, in whichever of the three modes. Raises NotJson, Invalid, UnsupportedMediaType."""
    sent = headers.get("Content-Type", "")
    media, _, parameters = sent.partition(";")
    media = media.strip().lower()
    if media.startswith("application/cloudevents"):
        _need_utf8(parameters)
        partitions, check = conf().partitions, _checker()
        if media == BATCH:
            return read_batch(body, partitions=partitions, most=conf().batch_limit, check=check)
        if media == STRUCTURED:
            return read_structured(body, partitions=partitions, check=check)
        raise UnsupportedMediaType(sent, f'"{media[:80]}" is not read here; send {STRUCTURED} or {BATCH}.')
    if not any(name.lower().startswith("ce-") for name in headers):
        raise UnsupportedMediaType(
            sent,
            f'"{sent[:80]}" without ce- headers is no CloudEvent. Send {STRUCTURED} (one), {BATCH} (an array of them), '
            "or the attributes in ce- headers.",
        )
    named = [(name.lower(), value) for name, value in headers.items()]
    return read_binary(named, sent, body, partitions=conf().partitions, check=_checker())


def _checker() -> Check:
    """What is wrong with an event from outside: it must not pass itself off as one of the platform's own."""
    faults_of_type = types.checker()

    def faults_of(event: Mapping[str, Any]) -> list[Fault]:
        faults = faults_of_type(event)
        if event["source"].startswith(OWN_SOURCES):
            faults = [Fault("source", f"begins with {OWN_SOURCES}, as this platform's own events do"), *faults]
        return faults

    return faults_of


def _need_utf8(parameters: str) -> None:
    """JSON is UTF-8 (RFC 8259)."""
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() == "charset" and value.strip(' "').lower() not in ("utf-8", "utf8", "us-ascii"):
        raise BadRequest([Fault("Content-Type", "the charset must be utf-8: JSON is nothing else")])
