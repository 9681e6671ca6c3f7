"""What `POST /api/v1/events` does, whichever way the request comes in."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from rest_framework.exceptions import NotAuthenticated, UnsupportedMediaType

from erip.access.origins import NOT_BOUND
from erip.access.principals import Principal
from erip.foundation.faults import Fault
from erip.foundation.http.headers import charset_of, codings, need_utf8
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.problems import BadRequest
from workflows.core.cloudevents import (
    BATCH,
    MAX_FAULTS,
    STRUCTURED,
    Batch,
    Check,
    Invalid,
    NotJson,
    read_batch,
    read_binary,
    read_structured,
)
from workflows.events import ingest, types
from workflows.events.conf import conf
from workflows.events.errors import EventsInvalid, OriginRefused

from .encodings import decoded

#: why `Idempotency-Key` is refused
NO_KEY = "is not kept here: an event is recognised by its source and id, so the same events can be sent again"


def accept(headers: Mapping[str, str], body: bytes, principal: Principal) -> dict[str, Any]:
    """Accept the events of a request: when this returns they are durable. Returns the answer's document.

    principal: the sender, which decides what sources the events may come from (Note [Origins] in `erip.access.origins`)

    Raises APIException and WorkflowsError.
    """
    ingest.knock(max(1, body.count(b'"specversion"')))
    limit = conf().body_limit
    plain = decoded(body, _coding(headers.get("Content-Encoding", "")), limit)
    try:
        batch = read(headers, plain, principal)
    except NotJson as error:
        raise BadRequest([Fault("", str(error))], "The body is not JSON.") from error
    except Invalid as error:
        refused = all(fault.message in NOT_BOUND for fault in error.faults[:MAX_FAULTS])
        raise (OriginRefused if refused else EventsInvalid)(faults=error.faults) from error
    if batch.events:
        ingest.accept(batch)
    return {"accepted": batch.events, "duplicates": batch.duplicates}


def caller_of(request: Incoming) -> Principal:
    """The sender of the request: permissions let no other kind of caller get this far."""
    if not isinstance(request.user, Principal):
        raise NotAuthenticated
    return request.user


def read(headers: Mapping[str, str], body: bytes, principal: Principal) -> Batch:
    """The events of a request, in any of the three modes. Raises NotJson, Invalid, APIException."""
    check, sender = _checker(principal, len(body)), principal.name
    sent = headers.get("Content-Type", "")
    media = sent.partition(";")[0].strip().lower()
    if media.startswith("application/cloudevents"):
        need_utf8(sent)
        partitions = conf().partitions
        if media == BATCH:
            return read_batch(body, partitions=partitions, most=conf().batch_limit, check=check, sender=sender)
        if media == STRUCTURED:
            return read_structured(body, partitions=partitions, check=check, sender=sender)
        raise UnsupportedMediaType(sent, f'"{media[:80]}" is not read here; send {STRUCTURED} or {BATCH}.')
    if not any(name.lower().startswith("ce-") for name in headers):
        raise UnsupportedMediaType(
            sent,
            f'"{sent[:80]}" without ce- headers is no CloudEvent. Send {STRUCTURED} (one), {BATCH} (an array of them), '
            "or the attributes in ce- headers.",
        )
    named = [(name.lower(), value) for name, value in headers.items()]
    charset = charset_of(sent)
    return read_binary(named, sent, body, charset=charset, partitions=conf().partitions, check=check, sender=sender)


def _coding(sent: str) -> str:
    """The one coding that the body is in, if any. Raises UnsupportedMediaType for several, BadRequest."""
    names = codings(sent) if sent else []
    if len(names) > 1:
        raise UnsupportedMediaType(sent, "A body in several codings is not read here; send it in gzip or zstd.")
    return names[0] if names else ""


def _checker(principal: Principal, size: int) -> Check:
    """A check of an event from outside: of its data, and of the source that it claims."""
    faults_of_type = types.checker(size)
    # One request repeats a few sources and types many times.
    refused_source, refused_type = cache(principal.origins.refuses_source), cache(principal.origins.refuses_type)

    def faults_of(event: Mapping[str, Any]) -> list[Fault]:
        faults = faults_of_type(event)
        if (why := refused_type(event["type"])) is not None:
            faults = [Fault("type", why), *faults]
        if (why := refused_source(event["source"])) is not None:
            faults = [Fault("source", why), *faults]
        return faults

    return faults_of
