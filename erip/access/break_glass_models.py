"""Rights for an emergency: what is stored of them, and what PostgreSQL refuses whoever asks.

Note [Break-glass]
Somebody asks for permissions, with a reason, for some minutes; somebody else of security grants it. Both are people.
From then on the first one has these permissions on everything, until the minutes are over by the database's clock, or
somebody ends it. Everybody on call gets a page, the console shows a banner, each entry that they leave in the audit log
says so, and afterwards somebody who did not ask says in a review whether it was right.

A trigger refuses what breaks this, whatever door it comes through: a request that grants itself, a second grant, a
grant by the same or by no active person or after an hour, more minutes, other permissions, an end that is taken back.

PostgreSQL cannot see whether the other person did grant it: the application's role can write a name. So the code that
has seen them seals the row, with ERIP_SECRET_KEY, which is nowhere in the database. A row without its seal gives
nothing, and is as loud as any other.
"""

from datetime import UTC
from typing import Any

import pgtrigger
import structlog
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.signing import BadSignature, Signer
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from erip.foundation.db.triggers import Firm, Protect

log = structlog.get_logger(__name__)

#: minutes of one grant; minutes for which a request may be granted, in the trigger too
MOST_MINUTES, GRANTABLE_MINUTES = 60, 60

_ASKED = """
    IF NEW.granted_by <> '' OR NEW.granted_at IS NOT NULL OR NEW.ends_at IS NOT NULL OR NEW.ended_at IS NOT NULL
       OR NEW.reviewed_at IS NOT NULL OR NEW.seal <> '' OR NEW.begin_said_at IS NOT NULL OR NEW.end_said_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'what is asked for is granted afterwards, by somebody else';
    END IF;
    IF NOT EXISTS (SELECT FROM auth_user u WHERE u.id = NEW.holder_id AND u.is_active) THEN
        RAISE EXCEPTION 'only active people ask';
    END IF;
    NEW.asked_at := clock_timestamp();
    RETURN NEW;
"""

_GRANTED = """
    IF (NEW.holder_id, NEW.permissions, NEW.reason, NEW.minutes, NEW.asked_at) IS DISTINCT FROM
       (OLD.holder_id, OLD.permissions, OLD.reason, OLD.minutes, OLD.asked_at) THEN
        RAISE EXCEPTION 'what was asked for cannot be changed';
    END IF;
    IF OLD.granted_at IS NULL AND NEW.granted_at IS NOT NULL THEN
        IF OLD.ended_at IS NOT NULL OR OLD.asked_at < clock_timestamp() - interval '60 minutes' THEN
            RAISE EXCEPTION 'this request has ended';
        END IF;
        IF NOT EXISTS (SELECT FROM auth_user u WHERE u.id = NEW.holder_id AND u.is_active)
           OR NOT EXISTS (SELECT FROM auth_user u
                          WHERE 'user:' || u.username = NEW.granted_by AND u.is_active AND u.id <> NEW.holder_id) THEN
            RAISE EXCEPTION 'another active person grants it';
        END IF;
        NEW.granted_at := clock_timestamp();
        NEW.ends_at := NEW.granted_at + make_interval(mins => NEW.minutes);
        NEW.seal := '';
        NEW.begin_said_at := NULL;
        NEW.end_said_at := NULL;
    ELSIF (NEW.granted_by, NEW.granted_at, NEW.ends_at) IS DISTINCT FROM (OLD.granted_by, OLD.granted_at, OLD.ends_at)
    THEN
        RAISE EXCEPTION 'it is granted once, for the minutes that were asked for';
    END IF;
    IF OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL THEN
        NEW.ended_at := clock_timestamp();
    ELSIF (NEW.ended_at, NEW.ended_by) IS DISTINCT FROM (OLD.ended_at, OLD.ended_by) THEN
        RAISE EXCEPTION 'what has ended has ended';
    END IF;
    IF OLD.reviewed_at IS NULL AND NEW.reviewed_at IS NOT NULL THEN
        IF NEW.granted_at IS NULL OR (NEW.ended_at IS NULL AND NEW.ends_at > clock_timestamp())
           OR NOT EXISTS (SELECT FROM auth_user u
                          WHERE 'user:' || u.username = NEW.reviewed_by AND u.is_active AND u.id <> NEW.holder_id) THEN
            RAISE EXCEPTION 'another active person reviews it, afterwards';
        END IF;
        NEW.reviewed_at := clock_timestamp();
    ELSIF (NEW.reviewed_at, NEW.reviewed_by, NEW.review) IS DISTINCT FROM (OLD.reviewed_at, OLD.reviewed_by, OLD.review)
    THEN
        RAISE EXCEPTION 'it is reviewed once';
    END IF;
    IF NEW.seal <> OLD.seal AND (OLD.seal <> '' OR OLD.granted_at IS NULL) THEN
        RAISE EXCEPTION 'it is sealed once';
    END IF;
    IF (OLD.begin_said_at IS NOT NULL AND NEW.begin_said_at IS DISTINCT FROM OLD.begin_said_at)
       OR (OLD.end_said_at IS NOT NULL AND NEW.end_said_at IS DISTINCT FROM OLD.end_said_at)
       OR (NEW.end_said_at IS NOT NULL
           AND (NEW.granted_at IS NULL OR (NEW.ended_at IS NULL AND NEW.ends_at > clock_timestamp()))) THEN
        RAISE EXCEPTION 'its end is said once, afterwards';
    END IF;
    RETURN NEW;
"""


class BreakGlass(models.Model):
    """Permissions that one person asked for in an emergency. Note [Break-glass]."""

    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    permissions = ArrayField(models.CharField(max_length=200), editable=False)
    reason = models.TextField(editable=False)
    minutes = models.PositiveSmallIntegerField(editable=False)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    granted_by = models.CharField(max_length=200, default="", blank=True, editable=False)
    granted_at = models.DateTimeField(null=True, editable=False)
    ends_at = models.DateTimeField(null=True, editable=False)
    #: ended early, or taken back before it was granted
    ended_at = models.DateTimeField(null=True, editable=False)
    ended_by = models.CharField(max_length=200, default="", blank=True, editable=False)
    reviewed_by = models.CharField(max_length=200, default="", blank=True, editable=False)
    reviewed_at = models.DateTimeField(null=True, editable=False)
    review = models.TextField(default="", blank=True, editable=False)
    #: shows that the platform has seen who granted it
    seal = models.CharField(max_length=100, default="", blank=True, editable=False)
    #: when messages said that it has begun, and that it is over
    begin_said_at = models.DateTimeField(null=True, editable=False)
    end_said_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "emergency access"
        verbose_name_plural = "emergency access"
        ordering = ["-id"]
        permissions = [
            ("grant_breakglass", "Can grant emergency access"),
            ("end_breakglass", "Can end emergency access"),
            ("review_breakglass", "Can review emergency access"),
        ]
        indexes = [
            models.Index(
                fields=["holder"],
                name="access_breakglass_open",
                condition=Q(granted_at__isnull=False, ended_at__isnull=True),
            ),
            models.Index(
                fields=["id"], name="access_breakglass_unsaid", condition=Q(granted_at__isnull=False, end_said_at=None)
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="access_breakglass_minutes", condition=Q(minutes__gte=1, minutes__lte=MOST_MINUTES)
            ),
            models.CheckConstraint(
                name="access_breakglass_named",
                condition=~Q(permissions=[]) & ~Q(permissions__contains=["*"]) & ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="access_breakglass_ends",
                condition=Q(granted_at=None, ends_at=None) | Q(granted_at__isnull=False, ends_at__gt=F("granted_at")),
            ),
        ]
        triggers = [
            Firm(name="breakglass_asked", when=pgtrigger.Before, operation=pgtrigger.Insert, func=_ASKED),
            Firm(name="breakglass_granted", when=pgtrigger.Before, operation=pgtrigger.Update, func=_GRANTED),
            Protect(name="breakglass_kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{', '.join(self.permissions)} for user:{self.holder.get_username()}"

    def sealed(self) -> str:
        """The seal of what was granted."""
        return _signer().signature(self._told())

    def is_sealed(self) -> bool:
        """Whether the platform made this, and not somebody with the database's password."""
        try:
            _signer().unsign(f"{self._told()}:{self.seal}")
        except BadSignature:
            return False
        return True

    def _told(self) -> str:
        assert self.granted_at is not None
        assert self.ends_at is not None
        times = [at.astimezone(UTC).isoformat() for at in (self.granted_at, self.ends_at)]
        return "\n".join([str(self.pk), str(self.holder_id), *self.permissions, self.granted_by, *times])


def in_force() -> models.QuerySet[BreakGlass]:
    """What was granted and is not over now, by the database's clock."""
    return BreakGlass.objects.filter(granted_at__isnull=False, ended_at=None, ends_at__gt=Now())


def giving(**whose: Any) -> list[BreakGlass]:
    """What gives rights now: in force, and sealed. whose: a condition, as of `filter`."""
    found = []
    for row in in_force().filter(**whose).order_by("pk"):
        if row.is_sealed():
            found.append(row)
        else:
            log.error("break_glass_not_sealed", number=row.pk, holder=row.holder_id)
    return found


def _signer() -> Signer:
    return Signer(salt="erip.access.break_glass")
