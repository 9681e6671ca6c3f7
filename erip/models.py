"""How far each data migration in the background is: Note [Backfills] in `erip.foundation.db.backfills`."""

from django.db import models
from django.db.models.functions import Now


class Backfill(models.Model):
    """One data migration in the background. Written by the database's owner alone."""

    name = models.CharField(primary_key=True, max_length=200, help_text="app.name, as its migration declares it.")
    #: the key of the last row of the last batch, as PostgreSQL writes it; empty: a pass begins
    position = models.TextField(default="", db_default="")
    number = models.PositiveIntegerField(default=1, db_default=1, help_text="Which pass over the table this is.")
    looked_at = models.BigIntegerField(default=0, db_default=0, help_text="Rows of this pass so far.")
    changed = models.BigIntegerField(default=0, db_default=0, help_text="Rows that were changed, in all passes.")
    #: changed or left to others in this pass: a pass without any is the last
    met = models.BigIntegerField(default=0, db_default=0)
    declared_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "erip_backfill"
        ordering = ["declared_at", "name"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
