"""Who looks at a page: members of staff with a session, as in the admin.

Note [Viewers]
Open pages ask again every few seconds. If each question looked up its session, user and rights, 500 open pages would
cost the database hundreds of statements a second. So a process remembers who looked lately, and asks about all of them
together, in three statements, at most every GOOD_FOR seconds. A session that ended and a right that was taken away
count within that time, as with API keys. While the database is away, who was let in within the last REMEMBERED seconds
may go on looking: they need the page most, and it changes nothing. Whatever changes something asks Django anew.
"""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session
from django.db import Error
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from erip.access import grants, policy
from erip.access.origins import UNBOUND
from erip.access.principals import Principal, of_held, of_staff
from erip.foundation.db.failures import is_passing
from erip.foundation.db.retry import within

log = structlog.get_logger(__name__)

#: seconds for which an answer about a viewer counts; after which one who does not ask is asked about no more; and for
#: which one is remembered while the database is away
GOOD_FOR, LINGERS, REMEMBERED = 5.0, 60.0, 900.0
#: viewers that are remembered
MOST = 5_000


def may(viewer: Principal, permission: str) -> bool:
    """Whether the viewer may do that everywhere: Note [One policy] in `erip.access.policy`."""
    return policy.decide(viewer, (permission,)).allowed


def reach(viewer: Principal, *permissions: str) -> frozenset[str] | None:
    """The spaces in which the viewer has one of these permissions; None: everywhere."""
    found = [policy.decide(viewer, (one,)).spaces for one in permissions]
    return None if None in found else frozenset().union(*(spaces for spaces in found if spaces is not None))


@dataclass(slots=True)
class _Entry:
    """Moments of the monotonic clock: verified by the database, checked (also in vain), and asked for last."""

    viewer: Principal
    verified: float
    checked: float
    asked: float


class Viewers:
    """Those that this process knows, by their session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Entry] = {}

    def of(self, request: HttpRequest) -> Principal | None:
        """Who asks; None: nobody who signed in as staff. For requests that only read. Raises django.db.Error if the
        database is away and this process does not know them."""
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if not key:
            return None
        now = time.monotonic()
        entry = self._known.get(key)
        if entry is not None and now - entry.asked <= LINGERS:
            entry.asked = now
            if now - entry.checked > GOOD_FOR:
                self._check()
                entry = self._known.get(key)
            return _answered(request, entry)
        try:
            viewer = asked_anew(request)
        except Error as error:
            if entry is None or now - entry.verified > REMEMBERED or not is_passing(error):
                raise
            entry.asked = now
            return _answered(request, entry)
        if viewer is None:
            self._known.pop(key, None)
        else:
            self._remember(key, viewer, now)
        return viewer

    def _remember(self, key: str, viewer: Principal, now: float) -> None:
        with self._lock:
            self._known[key] = _Entry(viewer, now, now, now)
            if len(self._known) > MOST:
                kept = sorted(self._known.items(), key=lambda pair: pair[1].asked)[-MOST // 2 :]
                self._known = dict(kept)

    def names(self) -> frozenset[str]:
        """The principals of those who looked lately."""
        now = time.monotonic()
        return frozenset(one.viewer.name for one in list(self._known.values()) if now - one.asked <= LINGERS)

    def forget(self) -> None:
        """For tests."""
        self._known.clear()

    def _check(self) -> None:
        """Ask about all who looked lately, at once. One thread does so; others wait for it."""
        with self._lock:
            now = time.monotonic()
            lately = {key: one for key, one in list(self._known.items()) if now - one.asked <= LINGERS}
            if all(now - one.checked <= GOOD_FOR for one in lately.values()):
                return
            try:
                with within(2.0):
                    found = _of_sessions(lately)
            except Error as error:
                if not is_passing(error):
                    raise
                log.warning("console_viewers_not_checked", error=error)
                for key, one in lately.items():
                    one.checked = now
                    if now - one.verified > REMEMBERED:
                        self._known.pop(key, None)
                return
            for key, one in lately.items():
                if key in found:
                    one.viewer, one.verified, one.checked = found[key], now, now
                else:
                    self._known.pop(key, None)


def _answered(request: HttpRequest, entry: _Entry | None) -> Principal | None:
    """The viewer of this entry, who is from now on the request's user: the log asks the request who it was, which would
    look up the session after all."""
    if entry is None:
        return None
    request.user = entry.viewer  # type: ignore[assignment]
    return entry.viewer


def asked_anew(request: HttpRequest) -> Principal | None:
    """Who asks, by Django and nothing remembered. Two statements for a superuser, else three."""
    return of_staff(request.user)


def _of_sessions(keys: Collection[str]) -> Mapping[str, Principal]:
    """The members of staff of these sessions, as `django.contrib.auth.get_user` finds one."""
    model = get_user_model()
    sessions = Session.objects.filter(session_key__in=list(keys), expire_date__gt=timezone.now())
    claims = {session.session_key: session.get_decoded() for session in sessions}
    users = {str(user.pk): user for user in model._default_manager.filter(pk__in=_ids(claims)).order_by("pk")}
    held = grants.held_by_users([user.pk for user in users.values() if not user.is_superuser])
    found = {}
    for key, claim in claims.items():
        user = users.get(str(claim.get(SESSION_KEY)))
        if user is None or not (user.is_active and user.is_staff):
            continue
        if claim.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
            continue
        hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
        if not any(constant_time_compare(claim.get(HASH_SESSION_KEY) or "", one) for one in hashes):
            continue
        name = f"user:{user.get_username()}"
        if user.is_superuser:
            found[key] = Principal(name, superuser=True, origins=UNBOUND)
        else:
            found[key] = of_held(name, held[user.pk], UNBOUND)
    return found


def _ids(claims: Mapping[str, Mapping[str, object]]) -> list[str]:
    return sorted({str(claim[SESSION_KEY]) for claim in claims.values() if SESSION_KEY in claim})


viewers = Viewers()
