from django.db import models


class Effect(models.Model):
    """What a step's body did, one row each time: the tests count them."""

    key = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)
    #: filled in the background: `tests/integration/test_backfills.py`
    weight = models.IntegerField(null=True)

    def __str__(self) -> str:
        return self.key
