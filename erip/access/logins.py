"""Attempts to sign in: whether one may be made now, and whether it succeeded. See Note [Slowing logins] in `slowing`.

An attempt is counted before the password is looked at, so that a thousand attempts at once are a thousand failures, and
is taken back if the password was right. It is written by hand because the libraries for this count failures after the
fact, lock accounts instead of delaying attempts, and do not recognise owners. Names and addresses are stored as keyed
digests only.
"""

import hashlib
import hmac
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import structlog
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.db import connection, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.crypto import get_random_string, salted_hmac

from erip.foundation.http.addresses import address_group, client_address

from . import slowing
from .models import LoginCounter, LoginPlace
from .slowing import Counter, Limit

log = structlog.get_logger(__name__)

#: for how long an owner is recognised by the browser, or by the address
RECOGNISED_FOR: Final = timedelta(days=180)
#: seconds between two clean-ups of old counters by one process
SWEEP_EVERY: Final = 3_600.0
_SALT: Final = "erip.access.device"

_swept_at = float("-inf")


class TooSoon(Exception):
    """Too many attempts failed. The next one counts after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the next attempt counts in {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that may be made.

    place: the account at this address
    own: counters of the account's own attempts from here, which a right password clears
    shared: counters shared with others, which forget only this attempt
    """

    place: str
    own: Mapping[str, Limit]
    shared: Mapping[str, Limit]


def begin(request: HttpRequest, username: str) -> Attempt:
    """Count an attempt to sign in as `username`. Raises TooSoon, and then nothing was counted."""
    account, address = account_of(username), client_address(request)
    group = address_group(address)
    place = _key("place", account, group)
    shared: dict[str, Limit] = {}
    if (device := _device(request, username)) is not None:
        own = {_key("device", account, device): slowing.RECOGNISED}
    elif _is_known(place):
        own = {_key("known", account, group): slowing.RECOGNISED}
    else:
        own = {_key("pair", account, group): slowing.PAIR}
        shared = {
            _key("address", group): slowing.ADDRESS,
            _key("network", network_of(address)): slowing.NETWORK,
            _key("account", account): slowing.ACCOUNT,
        }
    attempt = Attempt(place, own, shared)
    seconds = _count(attempt, account)
    if seconds > 0:
        log.warning("login_slowed", seconds=round(seconds), address=group)
        raise TooSoon(seconds)
    _sweep()
    return attempt


def succeeded(attempt: Attempt) -> None:
    """The password was right: the owner's own failures are forgotten, and what is shared is as it was before."""
    with transaction.atomic():
        LoginCounter.objects.filter(key__in=list(attempt.own)).delete()
        for row in _locked(attempt.shared):
            row.failures = max(0, row.failures - 1)
            row.free_at = row.at
            row.save(update_fields=["failures", "free_at"])
    LoginPlace.objects.update_or_create(key=attempt.place, defaults={"at": _now()})


def remember_device(request: HttpRequest, response: HttpResponseBase, username: str, password_hash: str) -> None:
    """Set a cookie by which the browser is recognised the next time as one that signed in to this account. It is valid
    until the password changes."""
    account = account_of(username)
    device = _device(request, username) or get_random_string(22)
    response.set_cookie(
        _cookie(account),
        signing.dumps([account, device, _password_tag(password_hash)], salt=_SALT),
        max_age=int(RECOGNISED_FOR.total_seconds()),
        path=reverse("admin:login"),
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def forget(username: str | None = None) -> int:
    """Forget the failures at one account, or all of them; how many counters there were. Addresses are forgotten only
    when all failures are, since nobody knows which accounts they guessed at."""
    counters = LoginCounter.objects.all()
    if username is not None:
        counters = counters.filter(account=account_of(username))
    return counters.delete()[0]


def account_of(username: str) -> str:
    """The key under which failures at an account are counted: upper and lower case of its name are the same."""
    return _key("name", unicodedata.normalize("NFKC", username).casefold())


def network_of(address: str) -> str:
    """The network that an address is in: /24 of IPv4, /48 of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((int(found), 48 if isinstance(found, IPv6Address) else 24), strict=False))


# --- the counters ---


def _count(attempt: Attempt, account: str) -> float:
    """Count an attempt in all of its counters, or in none; then return the seconds until it may be made."""
    limits = {**attempt.own, **attempt.shared}
    with transaction.atomic():
        now = _now()
        of_account = {key for key, limit in limits.items() if key in attempt.own or limit is slowing.ACCOUNT}
        LoginCounter.objects.bulk_create(
            [
                LoginCounter(key=key, account=account if key in of_account else "", failures=0, at=now, free_at=now)
                for key in sorted(limits)
            ],
            ignore_conflicts=True,
        )
        rows = {row.key: row for row in _locked(limits)}
        now = _now()
        counters = {
            key: slowing.lasting(Counter(rows[key].failures, rows[key].at, rows[key].free_at), limit, now)
            for key, limit in limits.items()
        }
        seconds = slowing.wait(counters, now)
        if seconds > 0:
            transaction.set_rollback(True)
            return seconds
        attacked = any(
            limit is slowing.ACCOUNT and counters[key].failures >= limit.free for key, limit in limits.items()
        )
        for key, limit in limits.items():
            if attacked and limit is slowing.PAIR:
                limit = slowing.PAIR_UNDER_ATTACK
            after = slowing.counted(counters[key], limit, now)
            row = rows[key]
            row.failures, row.at, row.free_at = after.failures, after.at, after.free_at
            row.save(update_fields=["failures", "at", "free_at"])
    return 0.0


def _locked(keys: Iterable[str]) -> list[LoginCounter]:
    # In the same order everywhere, so that two attempts may wait for each other but never deadlock.
    return list(LoginCounter.objects.select_for_update().filter(key__in=list(keys)).order_by("key"))


def _now() -> datetime:
    """Uses the database's clock, which all processes share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def _sweep() -> None:
    global _swept_at
    if time.monotonic() - _swept_at < SWEEP_EVERY:
        return
    _swept_at = time.monotonic()
    now = _now()
    longest = max(limit.forget for limit in (slowing.PAIR, slowing.RECOGNISED, slowing.ADDRESS, slowing.NETWORK))
    LoginCounter.objects.filter(at__lt=now - timedelta(seconds=longest)).delete()
    LoginPlace.objects.filter(at__lt=now - RECOGNISED_FOR).delete()


# --- who is recognised ---


def _is_known(place: str) -> bool:
    return LoginPlace.objects.filter(key=place, at__gt=_now() - RECOGNISED_FOR).exists()


def _device(request: HttpRequest, username: str) -> str | None:
    """Which of the owner's known browsers this is; None for any other browser."""
    account = account_of(username)
    cookie = request.COOKIES.get(_cookie(account))
    if cookie is None:
        return None
    try:
        told, device, tag = signing.loads(cookie, salt=_SALT, max_age=RECOGNISED_FOR)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if told != account:
        return None
    model = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: username}).first()
    if user is None or not hmac.compare_digest(str(tag), _password_tag(user.password)):
        return None
    return str(device)


def _cookie(account: str) -> str:
    return f"erip_device_{account[:12]}"


def _password_tag(password_hash: str) -> str:
    return salted_hmac(_SALT, password_hash, algorithm="sha256").hexdigest()[:32]


def _key(kind: str, *parts: str) -> str:
    """The digest that stands for these texts in the tables: 64 hexadecimal digits, meaningless without
    ERIP_SECRET_KEY."""
    text = "\0".join([kind, *parts]).encode("utf-8", "surrogatepass")
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()
