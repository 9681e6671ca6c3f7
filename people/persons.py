"""People and their groups. Principals of people are `user:<username>`."""

from collections.abc import Iterable, Mapping

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.db.models.functions import Now, Substr

from erip.access import policy, principals
from erip.foundation.db import walls
from people.models import Delegation
from workflows.engine.spaces import spaces_of_workflows

PREFIX = "user:"
#: what a vote needs
TO_VOTE = "people.add_vote"


def principal_of_user(user: AbstractBaseUser) -> str:
    """The principal of somebody who is signed in."""
    return f"{PREFIX}{user.get_username()}"


def is_person(principal: str) -> bool:
    """Whether a principal is a person's."""
    return principal.startswith(PREFIX) and len(principal) > len(PREFIX)


def groups_of(principals: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """The groups of each of these people; whoever is not, or no longer, active has no entry. One statement."""
    return _groups(Q(username__in={one.removeprefix(PREFIX) for one in principals if is_person(one)}))


def groups_of_voter(me: str) -> Mapping[str, frozenset[str]]:
    """The same for somebody and for those in whose place they may vote now. One statement."""
    now = Now()
    delegators = Delegation.objects.filter(revoked_at__isnull=True, delegate=me, starts_at__lte=now, ends_at__gt=now)
    names = delegators.annotate(name=Substr("delegator", len(PREFIX) + 1)).values("name")
    return _groups(Q(username=me.removeprefix(PREFIX)) | Q(username__in=names)) if is_person(me) else {}


def _groups(whose: Q) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    # People are in no space.
    with walls.lifted():
        rows = list(get_user_model().objects.filter(whose, is_active=True).values_list("username", "groups__name"))
    for name, group in rows:
        groups = found.setdefault(f"{PREFIX}{name}", set())
        if group is not None:
            groups.add(group)
    return {one: frozenset(groups) for one, groups in found.items()}


def may_vote_in(person: str, workflow: str) -> bool:
    """Whether somebody may vote on what this workflow asks, by their own roles: in its space, or everywhere."""
    return Seats().may_vote(person, workflow)


class Seats:
    """In which spaces people may vote, by their own roles. It asks about each of them once, and about each workflow:
    have one for a request."""

    def __init__(self) -> None:
        self._spaces: dict[str, frozenset[str] | None] = {}
        self._of_workflows: dict[str, str] = {}

    def spaces(self, person: str) -> frozenset[str] | None:
        """None: in all of them, and outside of them."""
        if person not in self._spaces:
            self._spaces[person] = _seats_of(person)
        return self._spaces[person]

    def may_vote(self, person: str, workflow: str) -> bool:
        """Whether somebody may vote on what this workflow asks."""
        spaces = self.spaces(person)
        if not spaces:
            return spaces is None
        if workflow not in self._of_workflows:
            with walls.lifted():
                (self._of_workflows[workflow],) = spaces_of_workflows([workflow])
        return self._of_workflows[workflow] in spaces


def _seats_of(person: str) -> frozenset[str] | None:
    # Grants, and people, are in no space.
    with walls.lifted():
        user = get_user_model().objects.filter(username=person.removeprefix(PREFIX), is_active=True).first()
        if user is None or not is_person(person):
            return frozenset()
        decision = policy.decide(principals.rights_of(user), (TO_VOTE,))
    return None if decision.allowed else decision.spaces


def members_of(groups: Iterable[str]) -> Mapping[str, str]:
    """The active members of these groups, with their e-mail addresses; '': none is known."""
    users = get_user_model().objects.filter(is_active=True, groups__name__in=set(groups)).distinct().order_by("pk")
    return {f"{PREFIX}{user.get_username()}": user.email for user in users}


def addresses_of(principals: Iterable[str]) -> Mapping[str, str]:
    """The e-mail addresses of these people, if they are active; '': none is known."""
    names = {one.removeprefix(PREFIX) for one in principals if is_person(one)}
    users = get_user_model().objects.filter(is_active=True, username__in=names)
    return {f"{PREFIX}{user.get_username()}": user.email for user in users}
