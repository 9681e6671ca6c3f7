"""What is stored of how people sign in: their second factors, and where they are signed in."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Factor(models.Model):
    """Something by which a person shows, beside the password, who they are. See `sign_in.factors`."""

    class Kind(models.TextChoices):
        TOTP = "totp", "App with codes"
        CODES = "codes", "Recovery codes"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="factors")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    # Encrypted with a key that follows from ERIP_SECRET_KEY, which the database does not have.
    sealed = models.BinaryField(blank=True, default=bytes, editable=False)
    codes = ArrayField(
        models.CharField(max_length=64), default=list, blank=True, editable=False, help_text="Keyed digests, not used."
    )
    #: of TOTP: the time step whose code was used last; no code opens anything twice
    last_step = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="access_factor_user_kind_once"),
            models.CheckConstraint(name="access_factor_kind_known", condition=models.Q(kind__in=["totp", "codes"])),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class SecurityKey(models.Model):
    """A security key or passkey of a person (WebAuthn). See `sign_in.security_keys`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="security_keys")
    name = models.CharField(max_length=100, help_text="By which its owner knows it.")
    credential_id = models.BinaryField(unique=True, editable=False)
    # COSE (RFC 9052), as the key wrote it.
    public_key = models.BinaryField(editable=False)
    #: how many signatures the key has counted; 0: it does not count
    sign_count = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: when it counted backwards: it opens nothing any more
    copied_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="access_securitykey_user_name_once")]

    def __str__(self) -> str:
        return self.name


class Identity(models.Model):
    """Who a person is at an identity provider. See Note [Accounts of providers] in `sign_in.providers.accounts`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="identities")
    provider = models.CharField(max_length=32, help_text="By its name in the setting.")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, help_text="Who it is there, for good.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "identities"
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="access_identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.provider}"


class UsedOnce(models.Model):
    """A digest of something that counts once. See `sign_in.once`."""

    digest = models.CharField(max_length=64, primary_key=True)
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:12]


class SignedIn(models.Model):
    """A session of a person. See `sign_in.sessions`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True, editable=False)
    at = models.DateTimeField(db_default=Now(), editable=False)
    address = models.CharField(max_length=64, blank=True, default="", editable=False)
    browser = models.CharField(max_length=200, blank=True, default="", editable=False)
    second_factor = models.BooleanField(default=False, editable=False)
    # At which identity provider it began, and how that names it; empty: by password. With defaults in the database: a
    # release that does not know them notes sessions, too.
    provider = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    provider_session = models.CharField(max_length=500, blank=True, default="", db_default="", editable=False)

    class Meta:
        verbose_name = "session"
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.at:%Y-%m-%d %H:%M} UTC"
