"""Subscriptions: one function for each operation, and the effect that creates their deliveries."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from erip.foundation.faults import Fault
from erip.foundation.outbound.addresses import Refused, refusal
from erip.foundation.outbound.webhook import Target
from workflows.core import patterns
from workflows.errors import InvalidInput
from workflows.events import deliveries
from workflows.events.effects import AfterCommit, LoggedEvent, Round
from workflows.events.errors import (
    DeliveryUnderWay,
    RotatedAlready,
    SubscriptionDisabled,
    TooManySubscriptions,
    UnknownDelivery,
    UnknownSubscription,
)
from workflows.events.models import Delivery, Subscription
from workflows.events.secrets import OVERLAP, current_secret
from workflows.events.store.deliveries import NewDelivery, delete_subscription, insert_deliveries, send_again

TEST_TYPE: Final = "erip.subscription.test"
MAX_TYPES: Final = 50
#: the most subscriptions there may be: each event is compared with all of them
MAX_SUBSCRIPTIONS: Final = 1_000
#: seconds for which the effect trusts what it read
TRUSTED: Final = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """A subscription, with its secret, which is never shown again."""

    subscription: Subscription
    secret: str


# --- what people do to subscriptions ----------------------------------------------------------------------


def check_room() -> None:
    """Raises TooManySubscriptions if there is no room for one more."""
    if Subscription.objects.count() >= MAX_SUBSCRIPTIONS:
        raise TooManySubscriptions


def subscribe(
    *,
    url: str,
    types: Sequence[str],
    principal: str,
    source: str | None = None,
    subject: str | None = None,
    description: str = "",
    enabled: bool = True,
) -> Made:
    """Raises InvalidInput, TooManySubscriptions."""
    check(url=url, types=types, source=source, subject=subject)
    check_room()
    made = Subscription.objects.create(
        id=uuid4(),
        url=url,
        types=list(types),
        source=source,
        subject=subject,
        description=description,
        enabled=enabled,
        created_by=principal,
    )
    return Made(subscription(made.pk), current_secret(made))


def change(id: UUID, changes: Mapping[str, Any]) -> Subscription:
    """Change what `changes` names: url, types, source, subject, description, enabled. Enabling a subscription that was
    disabled for its failures lets it be tried afresh. Raises UnknownSubscription, InvalidInput."""
    found = subscription(id)
    check(**{name: changes.get(name, getattr(found, name)) for name in ("url", "types", "source", "subject")})
    values = dict(changes)
    if values.get("enabled"):
        values |= {"failing_since": None, "disabled_at": None, "disabled_reason": ""}
    if values:
        Subscription.objects.filter(pk=id).update(**values)
    if values.get("enabled"):
        deliveries.wake()
    return subscription(id)


def unsubscribe(id: UUID) -> None:
    """Delete it, with its deliveries. Raises UnknownSubscription."""
    if not delete_subscription(str(id)):
        raise UnknownSubscription


def rotate_secret(id: UUID) -> Made:
    """Make a new secret. The former one also signs for a day. Raises UnknownSubscription, RotatedAlready."""
    subscription(id)
    settled = Subscription.objects.filter(pk=id).exclude(rotated_at__gt=datetime.now(UTC) - OVERLAP)
    if not settled.update(secret_version=F("secret_version") + 1, rotated_at=Now()):
        raise RotatedAlready
    found = subscription(id)
    return Made(found, current_secret(found))


def send_test(id: UUID, *, principal: str) -> Delivery:
    """Deliver an event that says that it is a test. Raises UnknownSubscription, SubscriptionDisabled."""
    found = subscription(id)
    if not found.enabled:
        raise SubscriptionDisabled
    event_id = str(uuid4())
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/erip/subscriptions",
        "type": TEST_TYPE,
        "subject": str(found.pk),
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {"subscription": str(found.pk), "asked_by": principal},
    }
    made = Delivery.objects.create(
        subscription=found, body=orjson.dumps(event).decode(), type=TEST_TYPE, event_id=event_id
    )
    deliveries.wake()
    return delivery(made.pk)


def redeliver(id: int) -> Delivery:
    """Deliver once more, whatever the last result was. Raises UnknownDelivery, DeliveryUnderWay,
    SubscriptionDisabled."""
    found = delivery(id)
    if not found.subscription.enabled:
        raise SubscriptionDisabled
    if not send_again(id):
        raise DeliveryUnderWay
    deliveries.wake()
    return delivery(id)


def subscription(id: UUID) -> Subscription:
    """Raises UnknownSubscription."""
    found = Subscription.objects.filter(pk=id).first()
    if found is None:
        raise UnknownSubscription
    return found


def delivery(id: int) -> Delivery:
    """With its subscription. Raises UnknownDelivery."""
    found = Delivery.objects.select_related("subscription").filter(pk=id).first()
    if found is None:
        raise UnknownDelivery
    return found


def check(*, url: str, types: Sequence[str], source: str | None, subject: str | None) -> None:
    """Raises InvalidInput with everything that is wrong."""
    faults: list[Fault] = []
    try:
        target = Target.of(url, allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE)
        if fault := _address_fault(target.host):
            faults.append(Fault("url", fault))
    except Refused as error:
        faults.append(Fault("url", str(error)))
    if not 1 <= len(types) <= MAX_TYPES:
        faults.append(Fault("types", f"must have 1 to {MAX_TYPES} types"))
    named = [(f"types[{index}]", pattern) for index, pattern in enumerate(types)]
    named += [(name, value) for name, value in (("source", source), ("subject", subject)) if value is not None]
    faults += [Fault(path, fault) for path, pattern in named if (fault := patterns.fault(pattern))]
    if faults:
        raise InvalidInput("The subscription is not valid.", faults=faults)


def _address_fault(host: str) -> str | None:
    """What is wrong with a host that is an address. A host name is looked up at each delivery, under the same rule."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return None
    fault = refusal(address, allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE)
    return f"is {host}, {fault}" if fault else None


# --- what events do to them -------------------------------------------------------------------------------


class SubscriptionsEffect:
    """Creates a delivery for each subscription that matches an event, in the consumer's transaction."""

    name = "subscriptions"

    def __init__(self) -> None:
        self._known: _Known | None = None

    def apply(self, round: Round) -> AfterCommit | None:
        """A subscription that was enabled within the last second may not get these events yet."""
        known = self._known
        if known is None or time.monotonic() - known.read_at > TRUSTED:
            known = self._known = _read()
        new = [
            NewDelivery(str(each.pk), event.partition, event.position, event.logged_at, event.type, event.id)
            for event in round.of_types(known.of_type)
            for each in known.for_(event)
        ]
        if not new:
            return None
        insert_deliveries(new)
        return deliveries.wake

    def plan(self, target: str, events: Sequence[LoggedEvent]) -> dict[str, int]:
        """By the subscriptions' ids. Raises LookupError."""
        known = _read()
        wanted = _named(target)
        if wanted is not None and not any(str(each.pk) == wanted for each in known.active):
            raise LookupError(f"there is no enabled subscription {wanted}")
        counts: dict[str, int] = {str(each.pk): 0 for each in known.active if wanted in (None, str(each.pk))}
        for event in events:
            for each in known.for_(event, wanted):
                counts[str(each.pk)] += 1
        return counts


@dataclass(slots=True)
class _Known:
    """The enabled subscriptions at one moment. It is replaced as a whole, because several loops use it at once."""

    read_at: float
    active: list[Subscription]
    #: most events match no subscription, and such an event must cost next to nothing
    by_type: dict[str, list[Subscription]] = field(default_factory=dict)

    def of_type(self, type_: str) -> list[Subscription]:
        """The subscriptions that ask for events of this type."""
        found = self.by_type.get(type_)
        if found is None:
            found = [each for each in self.active if patterns.any_matches(each.types, type_)]
            if len(self.by_type) < 10_000:
                self.by_type[type_] = found
        return found

    def for_(self, event: LoggedEvent, only: str | None = None) -> Iterable[Subscription]:
        """The subscriptions that get this event. only: the id of one, to leave out the others."""
        only = only or (_named(event.replay) if event.replay else None)
        return [each for each in self.of_type(event.type) if only in (None, str(each.pk)) and _passes(each, event)]


def _read() -> _Known:
    return _Known(time.monotonic(), list(Subscription.objects.filter(enabled=True)))


def _named(target: str) -> str | None:
    """The subscription that a replay is for; None: all subscriptions."""
    return target.partition(":")[2] or None


def _passes(each: Subscription, event: LoggedEvent) -> bool:
    if each.source is not None and not patterns.matches(each.source, event.source):
        return False
    return each.subject is None or patterns.matches(each.subject, event.subject or "")
