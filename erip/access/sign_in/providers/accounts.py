"""Whom an identity provider's people are here, and what they may do.

Note [Accounts of providers]
Who somebody is, is the pair of issuer and subject, and nothing else: a name or an address of e-mail at a provider opens
no account here, as others decide who has them. An account is linked with such a pair by its owner while they are signed
in, by a command on the machine, or by being made at the first sign-in, where the setting says so. If the name or the
address is somebody's here, none is made.

What SCIM brought is the one exception, for providers of whom the setting says so: then who shows the `userName` or the
`externalId` of a person is linked with their account, at the first sign-in alone. Superusers are not, nor is an account
that somebody else at this provider is linked with.

Note [Roles of groups]
The roles of a provider's groups are grants like others, marked with the provider's name. At each sign-in those that no
group gives any more are taken away, and those that one gives are given, until `keep_roles_hours` from then. A grant
that somebody made by hand is never touched, and stands for the same one of a group. A provider that says that it cannot
name all groups changes nothing: unknown is not no.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from ... import granting
from ...models import Grant, Identity, ScimUser, SignedIn, Space
from .. import factors, sessions
from .configured import configured
from .shown import Refused, Shown

log = structlog.get_logger(__name__)


def granted_by(provider: str) -> str:
    """What the grants of a provider's groups are marked with. No person or key is called so."""
    return f"provider:{provider}"


def come_in(provider: Any, shown: Shown) -> Any:
    """The account of somebody who wants to sign in, with the roles of their groups. Raises Refused."""
    with transaction.atomic():
        identity = Identity.objects.select_related("user").filter(issuer=shown.issuer, subject=shown.subject).first()
        if identity is None:
            identity = _provisioned(provider, shown) or _made(provider, shown)
        user = identity.user
        if not user.is_active or not user.is_staff:
            raise Refused("Your account here is closed.", f"user:{user.get_username()} is not active")
        Identity.objects.filter(pk=identity.pk).update(last_used_at=timezone.now())
        if shown.groups is None:
            log.warning("provider_groups_unknown", provider=provider.name, user=user.pk)
        else:
            give_roles(provider, user, shown.groups)
    return user


def proving_at(user: Any) -> list[Any]:
    """The providers at which this person can show a second factor that counts here."""
    counting = {name: one for name, one in configured().items() if one.second_factor.counts}
    if not counting:
        return []
    linked = Identity.objects.filter(user=user, issuer__in=[one.issuer for one in counting.values()])
    issuers = set(linked.values_list("issuer", flat=True))
    return [one for one in counting.values() if one.issuer in issuers]


def can_prove(user: Any) -> bool:
    """Whether this person can show a second factor: one that is here, or at a provider. Who can, shows it before they
    add another way in: a browser that is left open must not be enough for that."""
    return factors.has(user) or bool(proving_at(user))


def link(provider: str, issuer: str, subject: str, user: Any) -> None:
    """Link an account with somebody at a provider. Raises Refused if they are linked with another one."""
    try:
        with transaction.atomic():
            _, new = Identity.objects.get_or_create(
                issuer=issuer, subject=subject, defaults={"user": user, "provider": provider}
            )
    except IntegrityError as error:
        raise Refused("They were linked at this moment. Try again.") from error
    if not new and not Identity.objects.filter(issuer=issuer, subject=subject, user=user).exists():
        raise Refused("They are linked with another account here.")


def unlink(user: Any, number: int, *, but: str = "") -> bool:
    """Take away one of an account's links, with the sessions that began at the provider, but the one of this key, and
    with the roles of its groups. Whether there was one."""
    with transaction.atomic():
        identity = Identity.objects.filter(user=user, pk=number).first()
        if identity is None:
            return False
        identity.delete()
        sessions.end(SignedIn.objects.filter(user=user, provider=identity.provider).exclude(session_key=but))
        if not Identity.objects.filter(user=user, provider=identity.provider).exists():
            count, _ = Grant.objects.filter(user=user, granted_by=granted_by(identity.provider)).delete()
            if count:
                granting.changed()
    return True


def end_sessions(provider: Any, subject: str, session: str) -> int:
    """End the sessions that began with a sign-in at the provider: this one, or all of this person. Returns how many."""
    found = SignedIn.objects.filter(provider=provider.name)
    if session:
        found = found.filter(provider_session=session)
    if subject:
        found = found.filter(user__identities__issuer=provider.issuer, user__identities__subject=subject)
    return sessions.end(found)


def give_roles(provider: Any, user: Any, groups: Collection[str]) -> None:
    """Note [Roles of groups]. In a transaction."""
    # Of two sign-ins at once, one after the other.
    get_user_model()._default_manager.select_for_update(no_key=True).get(pk=user.pk)
    now, by = timezone.now(), granted_by(provider.name)
    until = now + timedelta(hours=provider.keep_roles_hours)
    wanted = {(one.role, one.space) for one in provider.roles if one.group in groups}
    mine = Grant.objects.filter(user=user)
    theirs = {(one.role, one.space): one for one in mine.filter(granted_by=by)}
    gone = [one.pk for place, one in theirs.items() if place not in wanted]
    stays = [one.pk for place, one in theirs.items() if place in wanted]
    changed = bool(gone) and Grant.objects.filter(pk__in=gone).delete()[0] > 0
    Grant.objects.filter(pk__in=stays).update(expires_at=until)
    for role, space in sorted(wanted - theirs.keys()):
        same = mine.filter(role=role, space=space)
        if same.filter(Q(expires_at=None) | Q(expires_at__gt=now)).exists():
            continue  # by hand
        if granting.permissions_of_role(role) is None or (space and not Space.objects.filter(name=space).exists()):
            log.warning("provider_role_unknown", provider=provider.name, role=role, space=space)
            continue
        same.delete()  # one that is over, and gives nothing
        Grant.objects.create(user=user, role=role, space=space, granted_by=by, expires_at=until)
        changed = True
    if changed:
        transaction.on_commit(granting.changed)


def _provisioned(provider: Any, shown: Shown) -> Identity | None:
    """The link with an account that SCIM brought, if the setting says that this provider's people open such. Raises
    Refused."""
    # As SCIM compares them: a userName without the case of letters, an externalId with it.
    column, value = {
        "": ("", ""),
        "userName": ("user__username__iexact", shown.username),
        "externalId": ("external_id", shown.subject),
    }[provider.provisioned]
    if not value:
        return None
    found = list(ScimUser.objects.filter(**{column: value}, gone_at=None).values_list("user", flat=True)[:2])
    if not found:
        return None
    user = get_user_model()._default_manager.select_for_update(no_key=True).get(pk=found[0])
    linked = Identity.objects.filter(user=user, issuer=shown.issuer).first()
    if linked is not None and linked.subject == shown.subject:  # at this moment, by another sign-in of theirs
        linked.user = user
        return linked
    if len(found) > 1 or user.is_superuser or linked is not None:
        why = "two are called so" if len(found) > 1 else "superuser" if user.is_superuser else "linked with another"
        raise Refused(
            "Your account here is not opened by this sign-in. Ask whoever manages who has access.",
            f"provisioned: {why}",
        )
    return Identity.objects.create(user=user, provider=provider.name, issuer=shown.issuer, subject=shown.subject)


def _made(provider: Any, shown: Shown) -> Identity:
    """A new account with its link. Raises Refused."""
    if not provider.create:
        raise Refused(
            f"No account here is linked with yours at {provider.title}. Sign in as before and link it under “Your"
            " security”, or ask whoever manages who has access.",
            "not linked",
        )
    users = get_user_model()
    if not shown.username:
        raise Refused(f"{provider.title} did not say what you are called.", "no username")
    user = users(username=shown.username, email=shown.email, first_name=shown.name[:150], is_staff=True)
    user.set_unusable_password()
    try:
        user.full_clean(exclude=["password"], validate_unique=False)
    except ValidationError as error:
        said = "You cannot have an account here under your name or address at the provider."
        raise Refused(said, str(error)) from error
    same = Q(username__iexact=user.get_username())  # in the form in which it is stored (NFKC)
    if shown.email:
        same |= Q(email__iexact=shown.email)
    if users._default_manager.filter(same).exists():
        raise Refused(
            f"There is an account of your name or address here already, and {provider.title} does not say that it is"
            " yours. Sign in to it as before and link it under “Your security”, or ask whoever manages who has access.",
            "name or address is taken",
        )
    try:
        with transaction.atomic():
            user.save()
            return Identity.objects.create(
                user=user, provider=provider.name, issuer=shown.issuer, subject=shown.subject
            )
    except IntegrityError as error:
        raise Refused("Your account was made at this moment. Please begin again.", "at once") from error
