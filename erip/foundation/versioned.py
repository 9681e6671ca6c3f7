"""Things with immutable versions: publishers take turns, and each gets the next number.

A versioned thing is two models. The owner has `name` and `latest` (the number of its latest version, 0 at first); its
versions are `owner.versions`, numbered from 1. All of it happens in the caller's transaction.
"""

from typing import Any

from django.db import models


def take_turn(owners: type[models.Model], name: str) -> tuple[Any, Any]:
    """The owner of that name, made if there is none and locked until the transaction ends, and its latest version (or
    None). Two publishers of one thing take turns here, or both could take the same number.
    """
    manager = owners._default_manager
    manager.get_or_create(name=name)
    owner: Any = manager.select_for_update().get(name=name)
    return owner, latest_of(owner)


def latest_of(owner: Any) -> Any:
    """The owner's latest version; None if it has none."""
    return owner.versions.filter(number=owner.latest).first()


def add_version(owner: Any, **values: Any) -> Any:
    """The owner's next version, with these values. The owner was locked by `take_turn`."""
    version = owner.versions.create(number=owner.latest + 1, **values)
    owner.latest = version.number
    owner.save(update_fields=["latest"])
    return version
