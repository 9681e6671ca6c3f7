"""Where people are signed in, and how that is ended.

A session is a row of Django's table; that table does not say whose it is, so each sign-in is noted beside it. Ending it
deletes both: the next request is a stranger's. An open page of the console notices it within seconds
(`console.viewers`).
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from erip.foundation.http.addresses import client_address

from ..models import SignedIn

#: in a session: when its person last showed a second factor, in seconds since 1970
PROVED_AT = "erip_proved_at"
#: in a session: at which identity provider it began, and how that names it
THROUGH = "erip_through"


@receiver(user_logged_in)
def noted(request: HttpRequest | None = None, user: Any = None, **_: Any) -> None:
    """Somebody has signed in. Their sessions that are over are forgotten."""
    if request is None or user is None or not (key := request.session.session_key):
        return
    browser = request.META.get("HTTP_USER_AGENT", "")[:200].replace("\0", "")
    SignedIn.objects.update_or_create(
        session_key=key,
        defaults={
            "user": user,
            "address": client_address(request),
            "browser": browser.encode("utf-8", "replace").decode(),
            "second_factor": PROVED_AT in request.session,
            **_through(request),
        },
    )
    over = timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    # One that is used lives on beyond its age, and what is not noted cannot be ended.
    SignedIn.objects.filter(user=user, at__lt=over).exclude(session_key__in=_live()).delete()


def _through(request: HttpRequest) -> dict[str, str]:
    found = request.session.get(THROUGH) or {}
    return {"provider": found.get("provider", ""), "provider_session": found.get("session", "")}


def renamed(before: str, after: str, user: Any) -> None:
    """A session of theirs goes on under another key: they have changed their password. user: a primary key."""
    if not SignedIn.objects.filter(session_key=after).exists():  # as after a sign-in, which is noted already
        SignedIn.objects.filter(session_key=before, user=user).update(session_key=after)


def _live() -> QuerySet[Session, Any]:
    """The keys of sessions that are not over."""
    return Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")


def open_ones(**of: Any) -> QuerySet[SignedIn]:
    """Those that are not over. of: as in filter()."""
    return SignedIn.objects.filter(session_key__in=_live(), **of)


def end(chosen: Iterable[SignedIn]) -> int:
    """End these sessions. Returns how many there were."""
    found = list(chosen)
    with transaction.atomic():
        Session.objects.filter(session_key__in=[one.session_key for one in found]).delete()
        SignedIn.objects.filter(pk__in=[one.pk for one in found]).delete()
    return len(found)


def end_all(user: Any, *, but: str = "") -> int:
    """End all sessions of a person, but the one of this key."""
    return end(SignedIn.objects.filter(user=user).exclude(session_key=but))
