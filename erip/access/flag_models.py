"""What an operator has said of a feature flag: its table.

access_flag   a flag that is not as the release has it. The columns `everyone`, `percent` and `note` are django-waffle's
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from waffle.models import AbstractBaseFlag


class Flag(AbstractBaseFlag):
    """One flag. django-waffle's own calls, decorators and template tags ask it too: Note [Flags] in `flags.asking`."""

    # What django-waffle would decide by a cookie, by the address's query or by a person's rank.
    testing = None  # type: ignore[assignment]
    superusers = None  # type: ignore[assignment]
    staff = None  # type: ignore[assignment]
    authenticated = None  # type: ignore[assignment]
    languages = None  # type: ignore[assignment]
    rollout = None  # type: ignore[assignment]
    # PostgreSQL's clock says when it was changed (`changed_at`), and the audit log when it was made.
    created = None  # type: ignore[assignment]
    modified = None  # type: ignore[assignment]

    name = models.CharField(max_length=63, unique=True)
    everyone = models.BooleanField(null=True, blank=True, help_text="On or off for everyone, whatever else is said.")
    percent = models.DecimalField(
        max_digits=4,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="On for this share, 0 to 100; always the same ones.",
    )
    on_for = ArrayField(models.CharField(max_length=200), default=list, blank=True, help_text="On for these.")
    off_for = ArrayField(models.CharField(max_length=200), default=list, blank=True, help_text="Off for these.")
    note = models.CharField(max_length=1000, blank=True, default="", help_text="Why.")
    changed_by = models.CharField(max_length=200, blank=True, default="")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "feature flag"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="flag_percent_is_a_share",
                condition=Q(percent__isnull=True) | Q(percent__gte=0, percent__lte=100),
            )
        ]

    def __str__(self) -> str:
        return self.name

    # --- as django-waffle calls it

    @classmethod
    def get(cls, name: str) -> "Flag":
        """Reads nothing: `is_active` asks what this process knows."""
        return cls(name=name)

    def is_active(self, request: HttpRequest | None = None, read_only: bool = False) -> bool:
        """Whether it is on for whoever sent the request. Never sets a cookie."""
        from .flags.asking import is_on  # it reads this table

        return is_on(self.name, *_sender(request))

    def flush(self) -> None:
        """django-waffle's cache, which nothing reads here."""

    def save(self, *args: Any, **more: Any) -> None:
        models.Model.save(self, *args, **more)

    def delete(self, *args: Any, **more: Any) -> tuple[int, dict[str, int]]:
        return models.Model.delete(self, *args, **more)


def _sender(request: HttpRequest | None) -> tuple[str, ...]:
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ()
    # A principal has its whole name; of a member of staff it is made from the username.
    name = getattr(user, "name", None)
    return (name if isinstance(name, str) else f"user:{user.get_username()}",)
