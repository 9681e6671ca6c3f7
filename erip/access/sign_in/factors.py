"""Second factors: codes of an app (TOTP, RFC 6238), recovery codes for when it is lost, and security keys, which are in
`security_keys`.

Note [Second factors]
A code of an app is six digits that change every 30 seconds; the one before and the one after count too, for clocks that
are a little off. Each opens something once: the step of the last one that was used is kept, and only later ones count.
Recovery codes have 50 bits of chance each and open something once. Wrong ones are slowed as wrong passwords are, by
counters of their own (Note [Slowing logins] in `slowing`): a six-digit code is guessed soon where that is not so.
"""

import secrets
import time
from base64 import b32encode
from typing import Any, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils import timezone

from .. import logins
from ..grants import current, of_user
from ..models import Factor, SecurityKey
from . import sealing, security_keys

#: seconds of a step, digits of a code (RFC 6238, and what apps can do)
STEP: Final = 30
DIGITS: Final = 6
#: recovery codes that somebody gets, and their characters: none that look like another
CODES: Final = 10
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH: Final = 10


def has(user: Any) -> bool:
    """Whether this person has a second factor: an app with codes, or a security key."""
    return has_app(user) or security_keys.has(user)


def has_app(user: Any) -> bool:
    return Factor.objects.filter(user=user, kind=Factor.Kind.TOTP).exists()


def has_codes(user: Any) -> bool:
    """Whether a recovery code is left."""
    return Factor.objects.filter(user=user, kind=Factor.Kind.CODES).exclude(codes=[]).exists()


def needs(user: Any) -> bool:
    """Whether this person may come in with a second factor only: ERIP_SECOND_FACTOR_ROLES."""
    wanted = set(settings.ERIP_SECOND_FACTOR_ROLES)
    return bool(wanted) and ("*" in wanted or not wanted.isdisjoint(roles_of(user)))


def roles_of(user: Any) -> set[str]:
    """The roles that a person was granted, anywhere; superusers are platform admins."""
    found = set(current().filter(of_user(user)).values_list("role", flat=True))
    return found | {"platform-admin"} if user.is_superuser else found


def new_secret() -> bytes:
    """160 bits, as RFC 4226 recommends."""
    return secrets.token_bytes(20)


def address_of(secret: bytes, username: str) -> str:
    """The address that apps read from a QR code."""
    issuer = quote(settings.ERIP_ISSUER_NAME)
    return f"otpauth://totp/{issuer}:{quote(username)}?secret={shown(secret)}&issuer={issuer}"


def shown(secret: bytes) -> str:
    """As it is typed into an app."""
    return b32encode(secret).decode()


def step_of(secret: bytes, code: str, at: float) -> int | None:
    """The time step of which this is the code, of those that count at that moment; None: of none."""
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    sha = SHA1()  # noqa: S303  # nosec B303 (as RFC 6238 has it, and every app)
    totp, now = TOTP(secret, DIGITS, sha, STEP, enforce_key_length=False), int(at // STEP)
    fitting = [
        step for step in (now - 1, now, now + 1) if secrets.compare_digest(totp.generate(step * STEP), code.encode())
    ]
    return fitting[-1] if fitting else None


def enrol(user: Any, secret: bytes, code: str) -> list[str] | None:
    """Give a person this secret, in place of the one before. Returns new recovery codes, which nobody can read again;
    None: the code is not one of this secret."""
    step = step_of(secret, code, time.time())
    if step is None:
        return None
    values = {"sealed": sealing.seal(secret), "last_step": step, "created_at": timezone.now(), "last_used_at": None}
    with transaction.atomic():
        Factor.objects.update_or_create(user=user, kind=Factor.Kind.TOTP, defaults=values)
        return renew_codes(user)


def renew_codes(user: Any) -> list[str]:
    """New recovery codes in place of all that there were."""
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(CODES)]
    values = {
        "codes": [sealing.digest(f"{user.pk}:{code}")[0] for code in codes],
        "created_at": timezone.now(),
        "last_used_at": None,
    }
    Factor.objects.update_or_create(user=user, kind=Factor.Kind.CODES, defaults=values)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def remove(user: Any) -> int:
    """All second factors of a person. Returns how many there were."""
    with transaction.atomic():
        keys, _ = SecurityKey.objects.filter(user=user).delete()
        return keys + Factor.objects.filter(user=user).delete()[0]


def begin(request: HttpRequest, user: Any) -> logins.Attempt:
    """Count an attempt at a person's second factor. Raises logins.TooSoon."""
    # With a character that no username has and the sign-in's form refuses: nobody uses up attempts by a name.
    return logins.begin(request, f"\0second factor of {user.pk}")


def check(request: HttpRequest, user: Any, code: str) -> bool:
    """Whether this code shows that it is them. Each opens something once. Raises logins.TooSoon."""
    attempt = begin(request, user)
    if not fits(user, code):
        return False
    logins.succeeded(attempt)
    return True


def fits(user: Any, code: str) -> bool:
    """The same for somebody at the machine: nothing is slowed."""
    text = "".join(code.split()).replace("-", "").lower()
    return _is_current(user, text) or _is_recovery(user, text)


def _is_current(user: Any, code: str) -> bool:
    factor = Factor.objects.filter(user=user, kind=Factor.Kind.TOTP).first()
    if factor is None:
        return False
    try:
        step = step_of(sealing.unseal(bytes(factor.sealed)), code, time.time())
    except sealing.Unreadable:
        return False
    if step is None:
        return False
    # Conditional: of two requests with the same code, one is let in.
    later = Factor.objects.filter(pk=factor.pk, last_step__lt=step)
    return later.update(last_step=step, last_used_at=timezone.now()) == 1


def _is_recovery(user: Any, code: str) -> bool:
    if len(code) != _LENGTH or not code.isascii():
        return False
    return any(_use(user, digest) for digest in sealing.digest(f"{user.pk}:{code}"))


def _use(user: Any, digest: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE access_factor SET codes = array_remove(codes, %s), last_used_at = now()"
            " WHERE user_id = %s AND kind = 'codes' AND %s = ANY(codes)",
            [digest, user.pk, digest],
        )
        return bool(cursor.rowcount == 1)
