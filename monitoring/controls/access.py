"""Checks of who has access: keys end and are used, people are few, present and have a second factor."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone

from erip.access.models import ApiKey, Grant
from erip.access.sign_in_models import Factor, SecurityKey
from monitoring.controls.results import Result, check, fails, holds

#: days after which who has not come is gone
DORMANT = 90
#: names in the facts of a result
NAMED = 20


@check("keys-end")
def keys_end() -> Result:
    """Every API key in use has a date on which it ends."""
    now = timezone.now()
    alive = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
    endless = list(alive.filter(expires_at=None).order_by("name").values_list("name", flat=True)[: NAMED + 1])
    if endless:
        return fails(f"API keys without an end, the first of them {endless[0]}.", keys=endless[:NAMED])
    count = alive.count()
    return holds(f"{count} API keys are in use, and each has an end.", keys=count)


@check("keys-owned")
def keys_owned() -> Result:
    """Somebody answers for every API key in use."""
    alive = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)
    nobodys = list(alive.filter(owner=None).order_by("name").values_list("name", flat=True)[: NAMED + 1])
    if nobodys:
        return fails(f"Nobody answers for some API keys, the first of them {nobodys[0]}.", keys=nobodys[:NAMED])
    return holds("Every API key has an owner.", keys=alive.count())


@check("keys-used")
def keys_used() -> Result:
    """No API key has been lying about unused."""
    before = timezone.now() - timedelta(days=DORMANT)
    idle = (
        ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)
        .filter(Q(last_used_at__lt=before) | Q(last_used_at=None, created_at__lt=before))
        .order_by("name")
    )
    names = list(idle.values_list("name", flat=True)[: NAMED + 1])
    if names:
        return fails(
            f"API keys that nobody used for {DORMANT} days, the first {names[0]}: revoke them.", keys=names[:NAMED]
        )
    return holds(f"Every API key was used, or made, within {DORMANT} days.")


@check("people-present")
def people_present() -> Result:
    """Nobody who is gone can still sign in."""
    before = timezone.now() - timedelta(days=DORMANT)
    people = get_user_model()._default_manager.filter(is_active=True)
    gone = people.filter(Q(last_login__lt=before) | Q(last_login=None, date_joined__lt=before))
    names = [str(one.get_username()) for one in gone.order_by("pk")[: NAMED + 1]]
    if names:
        return fails(f"Accounts that nobody used for {DORMANT} days, the first {names[0]}.", people=names[:NAMED])
    return holds(f"Everybody who may sign in was here within {DORMANT} days.", people=people.count())


@check("second-factor")
def second_factor() -> Result:
    """Everybody who may sign in has a second factor."""
    people = get_user_model()._default_manager.filter(is_active=True, is_staff=True)
    protected = Q(pk__in=Factor.objects.filter(kind=Factor.Kind.TOTP).values("user_id"))
    protected |= Q(pk__in=SecurityKey.objects.filter(copied_at=None).values("user_id"))
    lacking = [str(one.get_username()) for one in people.exclude(protected).order_by("pk")[: NAMED + 1]]
    if lacking:
        return fails(f"People without a second factor, the first {lacking[0]}.", people=lacking[:NAMED])
    return holds("Everybody who may sign in to the admin has a second factor.", people=people.count())


@check("grants-reviewed")
def grants() -> Result:
    """No role on everything was given to a key that could have one in a space, without an end."""
    wide = Grant.objects.filter(expires_at=None, space="", role__in=("platform-admin", "security-admin"))
    holders = [one.holder for one in wide.select_related("user", "group", "key").order_by("pk")[: NAMED + 1]]
    keys = [one for one in holders if one.startswith("key:")]
    if keys:
        return fails(f"{keys[0]} is an administrator of everything, without an end.", holders=holders[:NAMED])
    return holds(f"{len(holders)} people and groups are administrators of everything.", holders=holders[:NAMED])


@check("password-policy")
def passwords() -> Result:
    """Passwords are long, and not common."""
    validators: Any = settings.AUTH_PASSWORD_VALIDATORS
    rules = {str(one["NAME"]).rpartition(".")[2]: one.get("OPTIONS", {}) for one in validators}
    least = rules.get("MinimumLengthValidator", {}).get("min_length", 8 if "MinimumLengthValidator" in rules else 0)
    if least < 12 or "CommonPasswordValidator" not in rules:
        return fails("Passwords may be short, or common.", least=least, rules=sorted(rules))
    return holds(f"A password has at least {least} characters, and is not a common one.", least=least)
