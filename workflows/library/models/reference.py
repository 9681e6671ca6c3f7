"""Which state the reference data is in: the in-process caches and the loader of shipped data rely on it."""

from django.db import models

from erip.foundation.db.json import JsonField


class ReferenceVersion(models.Model):
    """One row per area; `token` changes with every write to one of the area's tables (by trigger, see the migration).

    The token is random and not a counter: a value that a rolled-back transaction has seen never comes again.
    """

    area = models.CharField(max_length=40, primary_key=True)
    token = models.UUIDField()
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = "reference version"

    def __str__(self) -> str:
        return f"{self.area} {self.token}"


class LoadedReference(models.Model):
    """Which rows of a shipped file were ever put into the database.

    A row that an admin changed or deleted is not brought back; a row that a later release adds is put in.
    """

    name = models.CharField(max_length=60, primary_key=True)
    keys = JsonField(default=list)
    #: key → SHA-256 of the row as it was loaded, for files whose unchanged rows follow the releases. A process of the
    #: previous release writes rows without it.
    contents = JsonField(default=dict, db_default=models.Value({}, output_field=models.JSONField()))
    loaded_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "loaded reference file"

    def __str__(self) -> str:
        return self.name
