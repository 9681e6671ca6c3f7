"""Groups: people whom the identity provider has put together. What they may do is granted in ERIP. Note [Provisioned
people] in `scim`."""

from collections.abc import Collection, Iterable

from django.contrib.auth.models import Group as Team
from django.contrib.auth.models import User as Account
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from scim2_models import InvalidValueException, Meta, NotFoundException, UniquenessException, default_comparison_key
from scim2_models import Path as ScimPath

from ..models import ScimGroup, ScimUser
from .filters import as_uuid, identity, text
from .people import version
from .schemas import Group, Member

#: members that an answer shows
MOST_SHOWN = 20_000

COLUMNS = {
    ("id", None): identity("id"),
    ("display_name", None): text("folded"),
    ("external_id", None): text("external_id"),
    ("members", "value"): identity("group__user__scim__id", exact=False),
}


def found(condition: Q) -> QuerySet[ScimGroup]:
    """Those that the identity provider has not removed, in the order in which they came."""
    rows = ScimGroup.objects.filter(condition, gone_at=None).select_related("group")
    return rows.order_by("created_at", "id")


def get(number: str, *, lock: bool = False) -> Group:
    """Raises NotFoundException. lock: nobody else changes it until the transaction ends."""
    return shown([_row(number, lock=lock)])[0]


def shown(rows: Iterable[ScimGroup]) -> list[Group]:
    """As SCIM shows them. Also where the answer leaves out the members: the version is of all that a group holds."""
    rows = list(rows)
    inside = _members([row.group_id for row in rows])
    return [_shown(row, inside.get(row.group_id, [])) for row in rows]


def within_bounds(rows: list[ScimGroup]) -> list[ScimGroup]:
    """The first of them, as many as have MOST_SHOWN members together; at least one."""
    counted = dict(
        Account.groups.through.objects.filter(group__in=[row.group_id for row in rows])
        .values_list("group_id")
        .annotate(count=Count("id"))
    )
    total = 0
    for place, row in enumerate(rows):
        total += counted.get(row.group_id, 0)
        if total > MOST_SHOWN and place:
            return rows[:place]
    return rows


def create(wanted: Group) -> Group:
    """Raises UniquenessException, InvalidValueException."""
    name = wanted.display_name or ""
    folded = _fold(name)
    # A group that was removed, and that somebody here has granted something to, still is there.
    earlier = (
        ScimGroup.objects.select_for_update().select_related("group").filter(folded=folded, gone_at__isnull=False)
    ).first()
    team = earlier.group if earlier is not None else Team(name=name)
    if Team.objects.filter(name__iexact=name).exclude(pk=team.pk).exists():
        raise UniquenessException(detail=f"There is a group named {name}.")
    people = _people(wanted)
    if earlier is not None:
        team.name = name
        earlier.delete()
    row = ScimGroup(group=team, folded=folded, external_id=wanted.external_id or "")
    try:
        with transaction.atomic():
            team.save()
            row.group = team
            row.save(force_insert=True)
    except IntegrityError as error:  # somebody else was faster
        raise UniquenessException(detail=f"There is a group named {name}.") from error
    _set_members(team, people)
    return get(str(row.pk))


def update(wanted: Group) -> Group:
    """Replace name and members of a group. Raises NotFoundException, UniquenessException, InvalidValueException."""
    row = _row(str(wanted.id), lock=True)
    name = wanted.display_name or ""
    people = _people(wanted)
    if name != row.group.name and Team.objects.filter(name__iexact=name).exclude(pk=row.group_id).exists():
        raise UniquenessException(detail=f"There is a group named {name}.")
    row.group.name, row.folded, row.external_id = name, _fold(name), wanted.external_id or ""
    row.changed_at = Now()
    try:
        with transaction.atomic():
            row.group.save(update_fields=["name"])
            row.save(update_fields=["folded", "external_id", "changed_at"])
    except IntegrityError as error:
        raise UniquenessException(detail=f"There is a group named {name}.") from error
    _set_members(row.group, people)
    return get(str(row.pk))


def remove(number: str) -> None:
    """Raises NotFoundException. What somebody here has granted to it, and members who were put in here, stay."""
    row = _row(number, lock=True)
    team = row.group
    _set_members(team, set())
    if team.grants.exists() or team.permissions.exists() or team.user_set.exists():
        row.gone_at, row.external_id = Now(), ""
        row.save(update_fields=["gone_at", "external_id"])
    else:
        team.delete()


def _row(number: str, *, lock: bool) -> ScimGroup:
    known = as_uuid(number)
    rows = found(Q(pk=known)) if known else ScimGroup.objects.none()
    row = (rows.select_for_update(of=("self", "group")) if lock else rows).first()
    if row is None:
        raise NotFoundException(detail="There is no group of this id.")
    return row


def _fold(name: str) -> str:
    return default_comparison_key(ScimPath[Group]("displayName").resolve(), name)


def _people(wanted: Group) -> set[int]:
    """The accounts of the members. Raises InvalidValueException, which names those who are not there."""
    ids = {}
    for place, member in enumerate(wanted.members or []):
        if (member.type or "User") != "User":
            raise InvalidValueException(detail=f"members[{place}].type: a group holds people, each a User")
        named = {one for one in (member.value, (member.ref or "").rpartition("/")[2]) if one}
        if len(named) != 1:
            raise InvalidValueException(detail=f"members[{place}]: value and $ref name one person, or one of them does")
        ids.update({one: as_uuid(one) for one in named})
    known = {
        str(number): account
        for number, account in ScimUser.objects.filter(
            pk__in=[one for one in ids.values() if one], gone_at=None
        ).values_list("id", "user_id")
    }
    missing = sorted(ids.keys() - known.keys())
    if missing:
        first = ", ".join(f'"{one[:50]}"' for one in missing[:20])
        raise InvalidValueException(detail=f"members: there are no people of the ids {first}")
    return set(known.values())


def _set_members(team: Team, people: Collection[int]) -> None:
    """These of those whom the identity provider brought, and nobody else of them; whoever was put in here stays."""
    through = Account.groups.through.objects
    there = set(through.filter(group=team, user__scim__isnull=False).values_list("user_id", flat=True))
    gone = there - set(people)
    if gone:
        through.filter(group=team, user__in=gone).delete()
    through.bulk_create(
        [Account.groups.through(group_id=team.pk, user_id=one) for one in sorted(set(people) - there)],
        ignore_conflicts=True,
    )


def _members(teams: Collection[int]) -> dict[int, list[Member]]:
    through = Account.groups.through.objects.filter(group__in=teams, user__scim__isnull=False)
    pairs = through.filter(user__scim__gone_at=None).order_by("user__scim__created_at", "user__scim__id")
    inside: dict[int, list[Member]] = {}
    for team, number in pairs.values_list("group_id", "user__scim__id"):
        inside.setdefault(team, []).append(
            Member.model_validate({"value": str(number), "$ref": f"Users/{number}", "type": "User"})
        )
    return inside


def _shown(row: ScimGroup, members: list[Member]) -> Group:
    made = Group(
        id=str(row.pk),
        external_id=row.external_id or None,
        display_name=row.group.name,
        members=members or None,
    )
    made.meta = Meta(
        resource_type="Group",
        created=row.created_at,
        last_modified=row.changed_at,
        version=version(made.model_dump()),
    )
    return made
