"""The five scopes of an API key: the names of built-in roles (`catalog`), which the key has on everything. Each
includes those before it."""

from django.db.models import TextChoices

from .catalog import PLATFORM_ADMIN


class Scope(TextChoices):
    METRICS = "metrics"  # reads GET /metrics, and nothing else: for whoever scrapes
    VIEWER = "viewer"  # and reads
    OPERATOR = "operator"  # and does what daily work needs
    AUTHOR = "author"  # and changes what daily work goes by
    ADMIN = "admin"  # and everything else

    def includes(self, required: "Scope") -> bool:
        """Whether a caller of this scope may do what needs `required`."""
        order = list(Scope)
        return order.index(self) >= order.index(required)

    @property
    def role(self) -> str:
        """The role that a key of this scope has."""
        return PLATFORM_ADMIN if self is Scope.ADMIN else str(self.value)
