"""Who is notified by default, and what has been delivered."""

from collections.abc import Sequence

from workflows.library.cache import cached
from workflows.library.models import Delivery, NotificationTarget

AREA = "notify"


def targets(workflow: str) -> Sequence[tuple[str, str]]:
    """(kind, address) of the enabled targets that want this workflow's messages."""
    every = cached(AREA, "targets", _load)
    return [(kind, address) for kind, address, wanted in every if not wanted or workflow in wanted]


def _load() -> Sequence[tuple[str, str, tuple[str, ...]]]:
    return tuple(
        (row.kind, row.address, tuple(row.workflows))
        for row in NotificationTarget.objects.filter(enabled=True).order_by("name")
    )


def delivered(key: str) -> dict[str, str]:
    """For each target that earlier attempts reached, the detail of that delivery."""
    return dict(Delivery.objects.filter(idempotency_key=key).values_list("target", "detail"))


def record(key: str, target: str, detail: str) -> None:
    Delivery.objects.bulk_create(
        [Delivery(idempotency_key=key, target=target, detail=detail[:300])], ignore_conflicts=True
    )
