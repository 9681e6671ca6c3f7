"""Where targets lead, and how channels are put, tested and dropped."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import structlog
from django.db import transaction

from erip.foundation.faults import Fault
from monitoring import store
from monitoring.channels import KINDS, Destination, NotSent, deliver, fault_of
from monitoring.conf import conf
from monitoring.core.rules import NAME
from monitoring.errors import ChannelInUse, ChannelInvalid, NoSuchChannel
from monitoring.sealed import Unreadable, seal, unseal
from monitoring.store.channels import Channel

log = structlog.get_logger(__name__)

HEARS = ("all", "pages", "none")
#: channels of a site; characters of an address and of a key
MOST_CHANNELS, MOST_ADDRESS, MOST_KEY = 200, 2_000, 200


def destination(target: str, known: Mapping[str, Channel]) -> Destination:
    """Where this target leads. Raises NotSent: there is no such channel, or it cannot be read."""
    kind, _, where = target.partition(":")
    if kind == "channel":
        channel = known.get(where)
        if channel is None:
            raise NotSent("the channel was deleted", lasting=True)
        try:
            return unseal(channel.sealed)
        except Unreadable as error:
            raise NotSent(str(error), lasting=True) from error
    if kind == "pagerduty":
        return Destination("pagerduty", conf().pagerduty_url, where)
    return Destination(kind, where, conf().webhook_secret if kind == "webhook" else "")


def kind_of(target: str) -> str:
    """For logs: what may be said of a target, which may hold a secret."""
    kind, _, where = target.partition(":")
    return target if kind == "channel" and re.fullmatch(NAME, where) else kind


def unusable() -> list[str]:
    """Why targets of the settings can never be reached: what is found out at the first alert is found out too late."""
    faults, numbers = [], dict.fromkeys(KINDS, 0)
    for target in conf().targets:
        to = destination(target, {})
        numbers[to.kind] += 1
        if (fault := fault_of(to)) is not None:
            faults.append(f"{to.kind} {numbers[to.kind]}: {fault}")
    return faults


def heard_by(known: Iterable[Channel], *, page: bool) -> list[str]:
    """The targets that hear of a message by themselves."""
    wanted = ("all", "pages") if page else ("all",)
    return [*conf().targets, *(f"channel:{one.name}" for one in known if one.hears in wanted)]


def put_channel(name: str, document: Mapping[str, Any], *, by: str) -> tuple[Channel, bool]:
    """Keep a channel: `kind`, `address`, `key` and `hears`. Returns it, and whether it is new. Raises ChannelInvalid.

    A key or an address that is left out stays as it is, since nobody can read it to send it again. A key does not
    follow to another address, or it could be had by whoever may put a channel.
    """
    to, hears = check_channel(name, document)
    new = store.put_channel(name, kind=to.kind, hears=hears, place=_place(to), sealed=seal(to), by=by)
    return store.channels()[name], new


def check_channel(name: str, document: Mapping[str, Any]) -> tuple[Destination, str]:
    """Where a channel would lead, and which messages it hears. Raises ChannelInvalid with every fault."""
    known = store.channels()
    before = known.get(name)
    kind = document.get("kind") or (before.kind if before else "")
    old = Destination("", "", "")
    if before is not None and before.kind == kind:
        try:
            old = unseal(before.sealed)
        except Unreadable:
            log.warning("channel_was_unreadable", channel=name)
    address = document.get("address", old.address)
    to = Destination(kind, address, document.get("key", old.key if address == old.address else ""))
    hears = document.get("hears") or (before.hears if before else "none")
    faults = []
    if not re.fullmatch(NAME, name or ""):
        faults.append(Fault("name", "must be small letters, digits and -, and begin with a letter"))
    if kind not in KINDS:
        faults.append(Fault("kind", f"must be one of {', '.join(KINDS)}"))
    elif not address and kind != "pagerduty":
        faults.append(Fault("address", "is needed"))
    elif (fault := fault_of(to)) is not None:
        faults.append(Fault("key" if fault.startswith("the key") else "address", fault))
    if hears not in HEARS:
        faults.append(Fault("hears", f"must be one of {', '.join(HEARS)}"))
    if len(address) > MOST_ADDRESS:
        faults.append(Fault("address", f"has more than {MOST_ADDRESS} characters"))
    if len(to.key) > MOST_KEY:
        faults.append(Fault("key", f"has more than {MOST_KEY} characters"))
    if before is None and len(known) >= MOST_CHANNELS:
        faults.append(Fault("", f"there are {MOST_CHANNELS} channels already; delete one first"))
    if faults:
        raise ChannelInvalid(faults=sorted(faults))
    return to, hears


def drop_channel(name: str) -> None:
    """Raises NoSuchChannel, or ChannelInUse: the on-call plan sends to it."""
    with transaction.atomic():
        if not store.lock_channel(name):
            raise NoSuchChannel
        if name in store.read_roster(datetime.now(UTC))[0].plan.channels():
            raise ChannelInUse
        store.drop_channel(name)


def try_channel(name: str) -> str | None:
    """Send a message that says it is a test. Returns why it was not taken; None: it was. Raises NoSuchChannel."""
    known = store.channels()
    if name not in known:
        raise NoSuchChannel
    return try_target(f"channel:{name}", known)


def try_target(target: str, known: Mapping[str, Channel]) -> str | None:
    """As `try_channel`, for any target."""
    try:
        to = destination(target, known)
        if (fault := fault_of(to)) is not None:
            return fault
        deliver(to, *_test())
    except NotSent as error:
        return str(error)
    return None


def _test() -> tuple[UUID, dict[str, Any]]:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return uuid4(), {
        "type": "erip.alert",
        "state": "test",
        "severity": "ticket",
        "cause": "test",
        "title": "This is a test of a channel. Nothing is wrong.",
        "at": now,
        "impact": {"waiting_steps": {}, "deadlines_within_an_hour": 0, "next_deadline_seconds": None},
        "escalation": None,
        "closes": [],
        "alerts": [],
    }


def _place(to: Destination) -> str:
    """What may be shown of where it leads."""
    if to.kind == "mail":
        return to.address[:320]
    if to.kind == "pagerduty" and not to.address:
        return "events.pagerduty.com"
    return (urlsplit(to.address).hostname or "")[:320]
