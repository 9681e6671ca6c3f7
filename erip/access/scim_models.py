"""What is stored of people and groups that an identity provider brought: see `erip.access.scim`."""

from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ScimUser(models.Model):
    """A person whom an identity provider brought. Who has no row here is no business of SCIM."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="scim")
    #: the username in the form in which names are compared
    folded = models.CharField(max_length=600, unique=True, editable=False)
    external_id = models.CharField(max_length=255, blank=True, default="", editable=False)
    #: `name`, `displayName`, `emails`, as they were sent
    attributes = models.JSONField(default=dict, editable=False)
    #: the e-mail addresses in the form in which they are compared
    addresses = ArrayField(models.CharField(max_length=600), default=list, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)
    gone_at = models.DateTimeField(null=True, editable=False, help_text="When the identity provider removed it.")

    class Meta:
        verbose_name = "provisioned person"
        verbose_name_plural = "provisioned people"
        permissions = [("provision", "Can bring people and groups by SCIM")]
        indexes = [
            models.Index(fields=["external_id"], name="access_scimuser_external"),
            models.Index(fields=["created_at", "id"], name="access_scimuser_order"),
            GinIndex(fields=["addresses"], name="access_scimuser_addresses"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ScimGroup(models.Model):
    """A group that an identity provider brought."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    group = models.OneToOneField(Group, models.CASCADE, related_name="scim")
    folded = models.CharField(max_length=600, editable=False)
    external_id = models.CharField(max_length=255, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)
    gone_at = models.DateTimeField(null=True, editable=False, help_text="When the identity provider removed it.")

    class Meta:
        verbose_name = "provisioned group"
        indexes = [models.Index(fields=["external_id"], name="access_scimgroup_external")]
        constraints = [
            models.UniqueConstraint(fields=["folded"], condition=Q(gone_at=None), name="access_scimgroup_name_once")
        ]

    def __str__(self) -> str:
        return str(self.id)
