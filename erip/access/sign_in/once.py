"""What counts once: challenges, answers of identity providers, their tokens of signing out."""

import hashlib
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from ..models import UsedOnce

#: rows that are over, and are removed with a new one
_SWEPT = 100


def first_time(kind: str, value: str, *, seconds: float) -> bool:
    """Whether this has not been used before. It is remembered for so many seconds, for which alone it may be good."""
    now = timezone.now()
    with transaction.atomic():
        _, new = UsedOnce.objects.get_or_create(
            digest=_digest(kind, value), defaults={"until": now + timedelta(seconds=seconds)}
        )
        over = UsedOnce.objects.filter(until__lt=now).select_for_update(skip_locked=True)[:_SWEPT]
        UsedOnce.objects.filter(pk__in=[one.pk for one in over]).delete()
    return new


def is_used(kind: str, value: str) -> bool:
    """Whether it has been used. It is not used by being asked about, and leaves no row: for what is not proved yet."""
    return bool(UsedOnce.objects.filter(digest=_digest(kind, value)).exists())


def _digest(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()
