"""Bad configuration ends a command before it starts, with a number.

Workers and the web do not ask: Note [Checks without the web] in `erip.foundation.process.checking`.
"""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from people.chats import teams
from people.chats.who import mapping_of

#: characters of the shortest secret
SHORTEST = 16


@register()
def chats(**_: Any) -> list[CheckMessage]:
    """people.E001, E002, E003: the secrets of chats, and who is who in them."""
    found: list[CheckMessage] = []
    for secret in ("ERIP_SLACK_SIGNING_SECRET", "ERIP_TEAMS_SECRET"):
        value = getattr(settings, secret)
        if value and len(value) < SHORTEST:
            found.append(Error(f"{secret} has fewer than {SHORTEST} characters.", id="people.E001"))
    try:
        teams.key_of(settings.ERIP_TEAMS_SECRET)
    except ValueError:
        found.append(Error("ERIP_TEAMS_SECRET is no base64.", id="people.E002"))
    for people in ("ERIP_SLACK_PEOPLE", "ERIP_TEAMS_PEOPLE"):
        try:
            mapping_of(getattr(settings, people))
        except ValueError as error:
            found.append(Error(f"{people}: {error}.", id="people.E003"))
    return found
