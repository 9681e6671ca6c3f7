"""Channels: where messages can be sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Now

from monitoring.models import AlertChannel


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. sealed: where it leads (`monitoring.sealed`). hears: `all`, `pages` or `none`."""

    name: str
    kind: str
    hears: str
    place: str
    sealed: str
    changed_at: datetime
    changed_by: str


def channels() -> Mapping[str, Channel]:
    return {row["name"]: Channel(**row) for row in AlertChannel.objects.order_by("name").values()}


def put_channel(name: str, *, kind: str, hears: str, place: str, sealed: str, by: str) -> bool:
    """Returns whether there was none of this name."""
    values: dict[str, Any] = {
        "kind": kind, "hears": hears, "place": place, "sealed": sealed, "changed_at": Now(), "changed_by": by,
    }  # fmt: skip
    return AlertChannel.objects.update_or_create(name=name, defaults=values)[1]


def lock_channels() -> frozenset[str]:
    """The names of all channels, none of which is dropped before this transaction ends."""
    return frozenset(AlertChannel.objects.select_for_update().values_list("name", flat=True))


def lock_channel(name: str) -> bool:
    """Nobody else names or drops this channel before this transaction ends. False: there is none."""
    return AlertChannel.objects.select_for_update().filter(name=name).exists()


def drop_channel(name: str) -> None:
    AlertChannel.objects.filter(name=name).delete()
