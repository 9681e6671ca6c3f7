"""API keys, roles and grants. A key is shown once, when it is made; only a digest of its secret is stored."""

from datetime import datetime

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.triggers import Firm

from .scopes import Scope

#: Whoever owned a key, or has seen a secret of it, stays behind it, by whatever door it changes hands.
_BEHIND = """
    NEW.behind := ARRAY(
        SELECT DISTINCT x.who FROM unnest(
            OLD.behind::text[]
            || ARRAY[OLD.created_by, OLD.rotated_by, NEW.rotated_by]::text[]
            || ARRAY(SELECT 'user:' || o.username FROM auth_user o WHERE o.id IN (OLD.owner_id, NEW.owner_id))
        ) x (who) WHERE x.who <> '' ORDER BY x.who);
    RETURN NEW;
"""

#: requests a minute
MOST_RATE = 1_000_000


def any_origin() -> list[str]:
    """Patterns of a key that is bound to nothing."""
    return ["*"]


class ApiKey(models.Model):
    """One caller's key, `erip_<prefix>_<secret>`. See keys.py for how one is made, read and revoked."""

    name = models.CharField(max_length=100, unique=True, help_text="Who or what uses the key.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    scope = models.CharField(
        max_length=16,
        choices=Scope.choices,
        default=Scope.VIEWER,
        blank=True,
        help_text="The role that it has on everything. Empty: it has what it is granted, and nothing else.",
    )
    # Of the events that it sends: Note [Origins] in `origins`.
    sources = ArrayField(
        models.CharField(max_length=1024),
        default=any_origin,
        db_default=any_origin(),
        blank=True,
        help_text="Sources of events that it may send: a source, or the beginning of one and *.",
    )
    types = ArrayField(
        models.CharField(max_length=255),
        default=any_origin,
        db_default=any_origin(),
        blank=True,
        help_text="Types of events that it may send: a type, or the beginning of one and *.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: does not expire.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Null of keys that were made before keys had owners. Note [Key owners] in `changing`.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="api_keys",
        help_text="The person who answers for the key. It opens nothing while they are not active.",
    )
    # Both have a default in the database: a release that does not know them may still make keys during an upgrade.
    networks = ArrayField(
        models.CharField(max_length=64),
        default=list,
        db_default=[],
        blank=True,
        help_text="Addresses and networks from which it opens something. Empty: from anywhere.",
    )
    rate = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_RATE)],
        help_text="Requests a minute that each web process takes from it. Empty: as many as come.",
    )
    # Rotation: the secret before this one, and until when it opens something too.
    previous_digest = models.BinaryField(max_length=32, null=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_by = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)
    #: principals who own it or did, and who have seen a secret of it, once it has changed hands; PostgreSQL writes it
    behind = ArrayField(models.CharField(max_length=200), default=list, db_default=[], blank=True, editable=False)
    # Coarse: written at most once in a few minutes for each key, so that reading stays cheap.
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(name="access_apikey_scope_known", condition=models.Q(scope__in=["", *Scope.values])),
        ]
        triggers = [
            Firm(
                name="apikey_behind",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("created_by", "owner_id", "rotated_by", "behind"),  # type: ignore[no-untyped-call]
                func=_BEHIND,
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def owner_is_active(self) -> bool:
        """Whether its owner, if it has one, may still come in. Read together with the key: `keys.with_grants`."""
        known: bool | None = getattr(self, "owned", None)
        return (self.owner is None or self.owner.is_active) if known is None else known

    def is_usable(self, now: datetime) -> bool:
        """Whether the key opens anything at `now`: not revoked, not expired, its owner active."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at) and self.owner_is_active


#: names of roles and spaces
SLUG = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_slug = RegexValidator(rf"^{SLUG}\Z", "Use lower-case letters, digits and hyphens; begin with a letter.")


class Role(models.Model):
    """An own role: a set of permissions with a name. The built-in ones are in `catalog`."""

    name = models.CharField(max_length=63, unique=True, validators=[_slug])
    description = models.TextField(blank=True, default="")
    permissions = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    changed_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Space(models.Model):
    """A folder to which workflows, and with them their runs, belong: a business unit, or a tenant."""

    name = models.CharField(max_length=63, unique=True, validators=[_slug])
    description = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """A role for a person, a group or an API key, on everything or in one space: Note [Grants] in `grants`."""

    role = models.CharField(max_length=63, help_text="A built-in role, or an own one.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="grants")
    group = models.ForeignKey(Group, models.CASCADE, null=True, blank=True, related_name="grants")
    key = models.ForeignKey(ApiKey, models.CASCADE, null=True, blank=True, related_name="grants")
    space = models.CharField(max_length=63, blank=True, default="", help_text="Empty: on everything.")
    granted_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    granted_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: does not end by itself.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="access_grant_one_holder",
                condition=Q(user__isnull=False, group=None, key=None)
                | Q(user=None, group__isnull=False, key=None)
                | Q(user=None, group=None, key__isnull=False),
            ),
            *(
                models.UniqueConstraint(fields=[holder, "role", "space"], name=f"access_grant_{holder}_once")
                for holder in ("user", "group", "key")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} for {self.holder}" + (f" in {self.space}" if self.space else "")

    @property
    def holder(self) -> str:
        """As `explain` names it: `user:…`, `group:…` or `key:…`."""
        if self.user is not None:
            return f"user:{self.user.get_username()}"
        return f"group:{self.group.name}" if self.group is not None else f"key:{self.key.name}"  # type: ignore[union-attr]


class LoginCounter(models.Model):
    """Failures to sign in, by what they are counted by: see `logins`. Keys and accounts are keyed digests."""

    key = models.CharField(max_length=64, primary_key=True)
    account = models.CharField(max_length=64, blank=True, db_index=True, help_text="Empty: of an address or network.")
    failures = models.PositiveIntegerField()
    at = models.DateTimeField(db_index=True, help_text="The last attempt.")
    free_at = models.DateTimeField(help_text="When the next attempt counts.")

    def __str__(self) -> str:
        return self.key[:12]


class LoginPlace(models.Model):
    """An account at an address from which it was signed in: keyed digests, see `logins`."""

    key = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(db_index=True, help_text="The last time.")

    def __str__(self) -> str:
        return self.key[:12]


# Django finds an app's tables here.
from .break_glass_models import BreakGlass as BreakGlass  # noqa: E402
from .flag_models import Flag as Flag  # noqa: E402
from .scim_models import ScimGroup as ScimGroup  # noqa: E402
from .scim_models import ScimUser as ScimUser  # noqa: E402
from .sign_in_models import Factor as Factor  # noqa: E402
from .sign_in_models import Identity as Identity  # noqa: E402
from .sign_in_models import SecurityKey as SecurityKey  # noqa: E402
from .sign_in_models import SignedIn as SignedIn  # noqa: E402
from .sign_in_models import UsedOnce as UsedOnce  # noqa: E402
