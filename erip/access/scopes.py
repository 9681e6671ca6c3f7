"""The five scopes of an API key. Each includes those before it. The apps say which operation needs which scope
(`rules`)."""

from django.db.models import TextChoices


class Scope(TextChoices):
    METRICS = "metrics"  # reads GET /metrics, and nothing else: for whoever scrapes
    VIEWER = "viewer"  # and reads everything
    OPERATOR = "operator"  # and does what daily work needs
    AUTHOR = "author"  # and changes what daily work goes by
    ADMIN = "admin"  # and everything else

    def includes(self, required: "Scope") -> bool:
        """Whether a caller of this scope may do what needs `required`."""
        order = list(Scope)
        return order.index(self) >= order.index(required)
