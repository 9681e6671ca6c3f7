"""How a message about alerts reaches people: one file for each kind of channel.

A message is a dict as `monitoring.messages.body_of` makes it. `deliver` turns it into what the receiver documents, and
sends that. Note [Texts of others]: the summary of a rule, the labels of an alert and the note of a silence are written
by others, and a chat would take `<!channel>` in one of them for a call to everybody. So they go into fields in which a
receiver reads plain text, and are escaped where there is no such field. `text.plain` has removed what is invisible.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from monitoring.channels import email, pagerduty, slack, teams, webhook
from monitoring.channels.sending import NotSent

__all__ = ["KINDS", "Destination", "NotSent", "deliver", "fault_of"]

Send = Callable[[str, str, UUID, Mapping[str, Any]], None]
Check = Callable[[str, str], str | None]

#: kind → how it sends, and what is wrong with an address and a key
_OF: Mapping[str, tuple[Send, Check]] = {
    "webhook": (webhook.send, webhook.fault),
    "slack": (slack.send, slack.fault),
    "teams": (teams.send, teams.fault),
    "pagerduty": (pagerduty.send, pagerduty.fault),
    "mail": (email.send, email.fault),
}
KINDS = tuple(_OF)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a channel leads. address: a URL, or an e-mail address. key: what signs (webhook) or routes (PagerDuty)."""

    kind: str
    address: str
    key: str = ""

    def __repr__(self) -> str:
        """Without the address and the key: whoever knows them can post there."""
        return f"Destination({self.kind!r})"


def deliver(to: Destination, message: UUID, body: Mapping[str, Any]) -> None:
    """Send a message. Raises NotSent, whose text holds neither the address nor the key."""
    try:
        _OF[to.kind][0](to.address, to.key, message, body)
    except NotSent as error:
        raise NotSent(_without(to, str(error)), lasting=error.lasting, after=error.after) from None


def fault_of(to: Destination) -> str | None:
    """Why nothing can ever be sent there, without the address and the key; None: nothing is known against it."""
    if to.kind not in _OF:
        return f"is no kind of channel; known are: {', '.join(KINDS)}"
    found = _OF[to.kind][1](to.address, to.key)
    return None if found is None else _without(to, found)


def _without(to: Destination, text: str) -> str:
    if to.kind != "mail":
        for hidden, name in ((repr(to.address), "the URL"), (to.address, "the URL"), (to.key, "the key")):
            text = text.replace(hidden, name) if hidden else text
        path = to.address.partition("://")[2].partition("/")[2]
        text = text.replace(path, "…") if len(path) > 3 else text
    return text
