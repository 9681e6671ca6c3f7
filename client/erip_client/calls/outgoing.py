"""Subscriptions, their deliveries, and what the autoscaler did."""

from collections.abc import Sequence
from datetime import datetime

from erip_client.models import AuditEntry, Delivery, Listing, Page, ScalingChange, Subscription, SubscriptionMade

from .base import ABSENT, Call, given, to_json


def list_subscriptions() -> Call[Listing[Subscription]]:
    """All subscriptions."""
    return Call(
        operation="listSubscriptions",
        method="GET",
        template="/api/v1/subscriptions",
        answers={200: Listing[Subscription]},
    )


def subscribe(
    url: str,
    types: Sequence[str],
    *,
    source: str | None = None,
    subject: str | None = None,
    description: str = "",
    enabled: bool = True,
    idempotency_key: str | None = None,
) -> Call[SubscriptionMade]:
    """Have events of these types posted to a URL. The answer holds the secret, which is not shown again."""
    body = {"url": url, "types": list(types), "description": description, "enabled": enabled}
    return Call(
        operation="subscribe",
        method="POST",
        template="/api/v1/subscriptions",
        content=to_json({**body, **given(source=source, subject=subject)}),
        answers={201: SubscriptionMade},
        keyed=True,
        key=idempotency_key,
    )


def get_subscription(id: str) -> Call[Subscription]:
    """One subscription."""
    return Call(
        operation="getSubscription",
        method="GET",
        template="/api/v1/subscriptions/{id}",
        path={"id": id},
        answers={200: Subscription},
    )


def change_subscription(
    id: str,
    *,
    url: str | None = None,
    types: Sequence[str] | None = None,
    source: str | None = ABSENT,
    subject: str | None = ABSENT,
    description: str | None = None,
    enabled: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[Subscription]:
    """Change what is given. source, subject: None means any."""
    named = {"source": source, "subject": subject}
    body = {
        **given(url=url, types=types if types is None else list(types), description=description, enabled=enabled),
        **{name: value for name, value in named.items() if value is not ABSENT},
    }
    return Call(
        operation="changeSubscription",
        method="PATCH",
        template="/api/v1/subscriptions/{id}",
        path={"id": id},
        content=to_json(body),
        answers={200: Subscription},
        keyed=True,
        key=idempotency_key,
    )


def unsubscribe(id: str) -> Call[None]:
    """Delete a subscription."""
    return Call(
        operation="unsubscribe",
        method="DELETE",
        template="/api/v1/subscriptions/{id}",
        path={"id": id},
        answers={204: None},
    )


def rotate_secret(id: str, *, idempotency_key: str | None = None) -> Call[SubscriptionMade]:
    """Give a subscription another secret. Both sign for 24 hours."""
    return Call(
        operation="rotateSecret",
        method="POST",
        template="/api/v1/subscriptions/{id}/rotate-secret",
        path={"id": id},
        answers={200: SubscriptionMade},
        keyed=True,
        key=idempotency_key,
    )


def try_subscription(id: str, *, idempotency_key: str | None = None) -> Call[Delivery]:
    """Have a test event delivered."""
    return Call(
        operation="testSubscription",
        method="POST",
        template="/api/v1/subscriptions/{id}/test",
        path={"id": id},
        answers={202: Delivery},
        keyed=True,
        key=idempotency_key,
    )


def list_deliveries(
    id: str, *, status: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[Page[Delivery]]:
    """A page of what was delivered to a subscription."""
    return Call(
        operation="listDeliveries",
        method="GET",
        template="/api/v1/subscriptions/{id}/deliveries",
        path={"id": id},
        query=given(status=status, cursor=cursor, limit=limit),
        answers={200: Page[Delivery]},
    )


def get_delivery(id: int) -> Call[Delivery]:
    """A delivery with its attempts."""
    return Call(
        operation="getDelivery",
        method="GET",
        template="/api/v1/deliveries/{id}",
        path={"id": id},
        answers={200: Delivery},
    )


def redeliver(id: int, *, idempotency_key: str | None = None) -> Call[Delivery]:
    """Deliver once more, whatever came of it."""
    return Call(
        operation="redeliver",
        method="POST",
        template="/api/v1/deliveries/{id}/redeliver",
        path={"id": id},
        answers={202: Delivery},
        keyed=True,
        key=idempotency_key,
    )


def list_scaling(
    *, target: str | None = None, cursor: int | str | None = None, limit: int | None = None
) -> Call[Page[ScalingChange]]:
    """A page of the changes of the number of workers, newest first."""
    return Call(
        operation="listScaling",
        method="GET",
        template="/api/v1/scaling",
        query=given(target=target, cursor=cursor, limit=limit),
        answers={200: Page[ScalingChange]},
    )


def search_audit(
    *,
    principal: str | None = None,
    object: str | None = None,
    action: str | None = None,
    kind: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    cursor: int | str | None = None,
    limit: int | None = None,
) -> Call[Page[AuditEntry]]:
    """A page of the audit log, newest first. kind: operation, effect or finding."""
    return Call(
        operation="searchAudit",
        method="GET",
        template="/api/v1/audit",
        query=given(
            principal=principal,
            object=object,
            action=action,
            kind=kind,
            since=since,
            until=until,
            cursor=cursor,
            limit=limit,
        ),
        answers={200: Page[AuditEntry]},
    )
