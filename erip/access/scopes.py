"""The four scopes of a caller. Each includes those before it."""

from django.db.models import TextChoices


class Scope(TextChoices):
    VIEWER = "viewer"  # reads definitions, runs and events
    OPERATOR = "operator"  # and starts, cancels, retries and resolves runs
    AUTHOR = "author"  # and validates and publishes definitions
    ADMIN = "admin"  # and whatever else there is

    def includes(self, required: "Scope") -> bool:
        """Whether a caller of this scope may do what needs `required`."""
        order = list(Scope)
        return order.index(self) >= order.index(required)
