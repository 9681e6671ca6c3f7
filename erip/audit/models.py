"""The log's tables. Rows are only ever added; `audit_entry_stays` refuses anything else, and so may a role's grants.

The application needs INSERT and SELECT on all three, and nothing more. Beside the log stand the salts of what it has
hashed, which may go (Note [Salted hashes] in `salts`).
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now


class Entry(models.Model):
    """One thing that happened. Written in the transaction of the change; what is hashed of it: Note [Audit chain]."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    #: the transaction's id of 64 bits
    xid = models.BigIntegerField(editable=False)
    #: the role of PostgreSQL that wrote it
    role = models.TextField(editable=False)
    #: a JSON object, byte for byte as it was written
    body = models.TextField(editable=False)
    #: under a key that the database does not have; empty where a trigger wrote the entry
    mac = models.TextField(default="", db_default="", editable=False)
    #: a JSON array of what the transaction changed, taken by the column's default: Note [Recorded changes]
    changes = models.TextField(null=True, editable=False)
    # Copies of what the body says, made by PostgreSQL, for the searches.
    kind = models.TextField(editable=False)
    action = models.TextField(editable=False)
    principal = models.TextField(editable=False)
    object = models.TextField(editable=False)

    class Meta:
        db_table = "audit_entry"
        verbose_name_plural = "entries"
        default_permissions = ("view",)
        permissions = (("export_entry", "Can export the audit log"),)
        ordering = ["-id"]
        indexes = [
            # what is not sealed yet, and spans of time: nearly in the order of the rows
            BrinIndex(fields=["xid", "at"], name="audit_entry_late", autosummarize=True, pages_per_range=16),
            models.Index(fields=["principal", "-id"], name="audit_entry_principal"),
            models.Index(fields=["object", "-id"], name="audit_entry_object", condition=~models.Q(object="")),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.principal}"


class Block(models.Model):
    """The entries that were sealed in one go: their order, their leaves, and the state of the chain after them."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_default=Now(), editable=False)
    #: entries of the log up to and with this block
    size = models.BigIntegerField(editable=False)
    entries = ArrayField(models.BigIntegerField(), editable=False)
    #: 32 bytes for each entry
    leaves = models.BinaryField(editable=False)
    head = models.BinaryField(editable=False)
    #: 32 bytes for each complete subtree
    frontier = models.BinaryField(editable=False)
    # The last sealed entry; the next ones have a larger (xid, id).
    last_xid = models.BigIntegerField(editable=False)
    last_id = models.BigIntegerField(editable=False)
    #: entries up to this id are sealed, whatever their xid says: Note [Sealing] in `store`
    floor = models.BigIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        db_table = "audit_block"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.number)


class Checkpoint(models.Model):
    """A signed statement of how the log looked at one moment. Copies are sent out: `checkpoints`."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_default=Now(), editable=False)
    size = models.BigIntegerField(editable=False)
    #: a JSON object, byte for byte as it was signed
    body = models.TextField(editable=False)
    #: Ed25519, base64
    signature = models.TextField(editable=False)

    class Meta:
        db_table = "audit_checkpoint"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.number)


class Salt(models.Model):
    """What opens the hashes of one row in one month."""

    object = models.TextField(editable=False)
    month = models.DateField(editable=False)
    salt = models.BinaryField(editable=False)

    class Meta:
        db_table = "audit_salt"
        default_permissions = ()
        indexes = [models.Index(fields=["month"], name="audit_salt_month")]
        constraints = [models.UniqueConstraint(fields=["object", "month"], name="audit_salt_once")]

    def __str__(self) -> str:
        return self.object
