"""Who somebody of a chat is here: as the settings say, and nobody by default."""

from collections.abc import Mapping, Sequence

from django.contrib.auth import get_user_model

from erip.access import policy, principals
from erip.access.principals import Principal


def mapping_of(items: Sequence[str]) -> Mapping[str, str]:
    """`["T1/U1=anna"]` as {"T1/U1": "anna"}. Raises ValueError for an item without both, and for an id that comes
    twice."""
    found: dict[str, str] = {}
    for item in items:
        id, _, name = (part.strip() for part in item.partition("="))
        if not id or not name:
            raise ValueError(f"{item!r} is not <id>=<username>")
        if id in found:
            raise ValueError(f"{id} comes twice")
        found[id] = name
    return found


def person_of(id: str, items: Sequence[str]) -> Principal | None:
    """Somebody who could sign in now, with what they may do; None: nobody. At most three statements."""
    name = mapping_of(items).get(id)
    user = get_user_model().objects.filter(username=name).first() if name else None
    return principals.of_staff(user) if user is not None else None


def may(caller: Principal, permission: str) -> bool:
    return policy.decide(caller, (permission,)).allowed
