"""Security keys and passkeys as a second factor (WebAuthn level 2), checked by `webauthn`.

Note [Security keys]
A security key signs a challenge of ours for one origin, so nothing that a person types, reads out or copies to another
site opens anything. A challenge is in the session of the browser that asked for it, counts once and for ASKED_FOR
seconds. The key's id must fit ERIP_WEBAUTHN_RP_ID, and the page that it signed for must be one of
ERIP_WEBAUTHN_ORIGINS. Attestation (who made the key) is not asked for.

A key that counts its signatures never counts backwards: if it does, there are two of it. Then it opens nothing any
more, until it is removed and added anew, and the log and the audit log say so. Keys that do not count (most passkeys
say 0) tell no copies.
"""

import json
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from erip.audit.operation import describe

from ..models import SecurityKey
from . import once, sealing

log = structlog.get_logger(__name__)

#: seconds for which a challenge counts
ASKED_FOR: Final = 300
#: keys of one person, characters of a name, and of what a browser sends
MOST: Final = 20
LONGEST_NAME: Final = 60
LONGEST: Final = 32_768
_ASKED: Final = "erip_security_key"


class KeyRefused(Exception):
    """The security key was not taken. The message says why, for the person to read."""


@dataclass(frozen=True, slots=True)
class Place:
    """For which site keys sign. rp: its domain; origins: its pages' scheme, host and port."""

    rp: str
    origins: tuple[str, ...]


def place() -> Place | None:
    """None: there can be no security keys, because the platform has no name, only an address."""
    public = urlsplit(settings.ERIP_PUBLIC_URL)
    rp = settings.ERIP_WEBAUTHN_RP_ID or public.hostname or ""
    origins = tuple(settings.ERIP_WEBAUTHN_ORIGINS) or (f"{public.scheme}://{public.netloc}",)
    return None if not rp or _is_address(rp) else Place(rp.lower(), tuple(one.rstrip("/").lower() for one in origins))


def has(user: Any) -> bool:
    """Whether this person has a security key. One that counted backwards is one, too: or who makes it do so would have
    made the password enough."""
    return SecurityKey.objects.filter(user=user).exists()


def ask_to_sign(request: HttpRequest, user: Any) -> str:
    """What a browser passes to `navigator.credentials.get`, as JSON; "" if this person has no key that could answer.
    The same until it is answered: a page that is loaded twice asks the same."""
    site = place()
    if site is None:
        return ""
    if kept := _kept(request, "get", user):
        return kept
    known = SecurityKey.objects.filter(user=user, copied_at=None).values_list("credential_id", flat=True)
    if not (ids := [bytes(one) for one in known]):
        return ""
    import webauthn
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = webauthn.generate_authentication_options(
        rp_id=site.rp,
        timeout=ASKED_FOR * 1000,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in ids],
        user_verification=UserVerificationRequirement(settings.ERIP_WEBAUTHN_VERIFICATION),
    )
    return _keep(request, "get", user, webauthn.options_to_json(options), options.challenge)


def ask_to_register(request: HttpRequest, user: Any) -> str:
    """What a browser passes to `navigator.credentials.create`, as JSON. Raises KeyRefused."""
    site = place()
    if site is None:
        raise KeyRefused(_NO_NAME)
    known = [bytes(one) for one in SecurityKey.objects.filter(user=user).values_list("credential_id", flat=True)]
    if len(known) >= MOST:
        raise KeyRefused(f"You have {MOST} security keys. Remove one first.")
    if kept := _kept(request, "create", user):
        return kept
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=site.rp,
        rp_name=settings.ERIP_ISSUER_NAME,
        user_name=user.get_username(),
        # Not the number: whoever finds the key learns nothing.
        user_id=bytes.fromhex(sealing.digest(f"security key of {user.pk}")[0]),
        timeout=ASKED_FOR * 1000,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.DISCOURAGED,
            user_verification=structs.UserVerificationRequirement(settings.ERIP_WEBAUTHN_VERIFICATION),
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return _keep(request, "create", user, webauthn.options_to_json(options), options.challenge)


def register(request: HttpRequest, user: Any, name: str, sent: str) -> SecurityKey:
    """Store the key that answered. Raises KeyRefused."""
    if faults := _name_faults(user, name):
        raise KeyRefused(faults)
    site, challenge, answer = _answered(request, "create", user, sent)
    import webauthn

    try:
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.rp,
            expected_origin=list(site.origins),
            require_user_verification=_must_verify(),
        )
    except Exception as error:
        raise _refused(error) from error
    try:
        with transaction.atomic():
            return SecurityKey.objects.create(
                user=user,
                name=name,
                credential_id=found.credential_id,
                public_key=found.credential_public_key,
                sign_count=found.sign_count,
            )
    except IntegrityError as error:
        raise KeyRefused("This security key, or one of that name, is here already.") from error


def check(request: HttpRequest, user: Any, sent: str) -> None:
    """Whether what the browser sent shows that it is them. Each challenge opens something once. Raises KeyRefused."""
    site, challenge, answer = _answered(request, "get", user, sent)
    import webauthn
    from webauthn.helpers import parse_authentication_credential_json

    try:
        credential = parse_authentication_credential_json(answer)
        row = SecurityKey.objects.filter(user=user, credential_id=credential.raw_id, copied_at=None).first()
        if row is None:
            raise LookupError("no key of theirs")
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp,
            expected_origin=list(site.origins),
            credential_public_key=bytes(row.public_key),
            credential_current_sign_count=0,  # looked at below, on condition
            require_user_verification=_must_verify(),
        )
    except Exception as error:
        raise _refused(error) from error
    count, rows = found.new_sign_count, SecurityKey.objects.filter(pk=row.pk, copied_at=None)
    onward = rows.filter(Q(sign_count__lt=count) | Q(sign_count=0, sign_count__gte=count))
    if onward.update(sign_count=count, last_used_at=timezone.now()):
        return
    if rows.filter(sign_count__gte=count).update(copied_at=timezone.now()):
        log.warning("security_key_copied", user=user.pk)
        describe(why="the counter of the security key went back: there may be a copy of it")
    raise KeyRefused("This security key counts backwards: there may be a copy of it. It opens nothing any more.")


def remove(user: Any, number: int) -> bool:
    """Remove one of a person's keys; whether there was one."""
    return SecurityKey.objects.filter(user=user, pk=number).delete()[0] > 0


# --- challenges ---


def _keep(request: HttpRequest, what: str, user: Any, options: str, challenge: bytes) -> str:
    request.session[_ASKED] = {
        "what": what,
        "user": user.pk,
        "at": int(time.time()),
        "options": options,
        "challenge": challenge.hex(),
    }
    return options


def _kept(request: HttpRequest, what: str, user: Any) -> str:
    found: dict[str, Any] = request.session.get(_ASKED) or {}
    if (found.get("what"), found.get("user")) != (what, user.pk):
        return ""
    # One that is about to end is asked anew, so that there is time to answer.
    return str(found["options"]) if time.time() - found["at"] < ASKED_FOR / 2 else ""


def _answered(request: HttpRequest, what: str, user: Any, sent: str) -> tuple[Place, bytes, dict[str, Any]]:
    """(the site, what was asked, what was answered). Raises KeyRefused."""
    found: dict[str, Any] = request.session.pop(_ASKED, None) or {}
    site = place()
    if site is None:
        raise KeyRefused(_NO_NAME)
    if not found or (found["what"], found["user"]) != (what, user.pk) or time.time() - found["at"] > ASKED_FOR:
        raise KeyRefused(_ANSWERED)
    if not sent or len(sent) > LONGEST:
        raise KeyRefused("The browser sent no answer of a security key.")
    try:
        answer = json.loads(sent)
    except (ValueError, RecursionError) as error:
        raise _refused(error) from error
    if not isinstance(answer, dict):
        raise KeyRefused(_UNCLEAR)
    # Two requests at once have read the same session.
    if not once.first_time("challenge of a security key", str(found["challenge"]), seconds=ASKED_FOR * 2):
        raise KeyRefused(_ANSWERED)
    return site, bytes.fromhex(found["challenge"]), answer


def _must_verify() -> bool:
    return bool(settings.ERIP_WEBAUTHN_VERIFICATION == "required")


def _name_faults(user: Any, name: str) -> str:
    if not (1 <= len(name) <= LONGEST_NAME and name.isprintable()):
        return f"Give the key a name of 1 to {LONGEST_NAME} characters, such as “blue, on my key ring”."
    if SecurityKey.objects.filter(user=user, name=name).exists():
        return "You have a security key of that name. Give this one another name."
    return ""


def _refused(error: Exception) -> KeyRefused:
    """Of any error: the bytes are a stranger's, and pass three parsers (JSON, CBOR, keys)."""
    if isinstance(error, DatabaseError):
        raise error
    log.info("security_key_refused", error=error)
    return KeyRefused(_UNCLEAR)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


_ANSWERED: Final = "That took too long, or was answered before. Try again."
_UNCLEAR: Final = "This security key did not show that it is yours. Try again, or use another one."
_NO_NAME: Final = "Security keys need a name of the platform, and it has only an address (ERIP_PUBLIC_URL)."
