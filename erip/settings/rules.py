"""What must fit together: rules over more than one setting, each with the setting to correct first.

A rule gets the values of the settings that it names, and says what is wrong or returns None. It is not asked if one of
them is wrong by itself.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from erip.foundation.os_errors import in_words
from erip.foundation.process.broker_tls import tls_options
from erip.foundation.process.trust import context_of

from .rest import ERIP_API_BODY_LIMIT, ERIP_API_BULK_BODY_LIMIT

#: from the most urgent
LANES = ("critical", "high", "standard", "bulk")
_SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True)
class Rule:
    names: tuple[str, ...]
    broken: Callable[..., str | None]
    #: asked for in production and by `manage.py check` alone: elsewhere one may want less for a trial
    strict: bool = False


RULES: list[Rule] = []


def broken(have: Mapping[str, Any], *, but: Container[str], strict: bool) -> Iterator[tuple[str, str]]:
    """The setting to correct, and what is wrong, for each rule that does not hold. but: settings that are wrong by
    themselves."""
    for rule in RULES:
        if (rule.strict and not strict) or any(name in but for name in rule.names):
            continue
        if what := rule.broken(*(have[name] for name in rule.names)):
            yield rule.names[0], what


def _rule(*names: str, strict: bool = False) -> Callable[[Callable[..., str | None]], Callable[..., str | None]]:
    def add(function: Callable[..., str | None]) -> Callable[..., str | None]:
        RULES.append(Rule(names, function, strict))
        return function

    return add


@_rule("ERIP_SECRET_KEY", strict=True)
def _long_key(key: str) -> str | None:
    return f"needs at least {_SHORTEST_KEY} characters" if 0 < len(key) < _SHORTEST_KEY else None


@_rule("ERIP_LEASE_SECONDS", "ERIP_HEARTBEAT_SECONDS")
def _two_heartbeats(lease: float, heartbeat: float) -> str | None:
    if lease >= 2 * heartbeat:
        return None
    return "is less than two of ERIP_HEARTBEAT_SECONDS: live workers would be taken for dead ones"


@_rule("ERIP_LANE_BOUNDS")
def _lanes(bounds: Mapping[str, float]) -> str | None:
    if unknown := sorted(set(bounds) - set(LANES)):
        return f"names {', '.join(unknown)}, which is no lane ({', '.join(LANES)})"
    seconds = [bounds[lane] for lane in LANES]
    return None if seconds == sorted(seconds) else "must grow from critical to bulk, as critical=2,high=10"


@_rule("ERIP_DB_MAX", "ERIP_DB_MIN", "ERIP_PROCESSES")
def _connections(most: int, least: int, processes: int) -> str | None:
    if most >= max(least, processes):
        return None
    return "must be at least ERIP_DB_MIN and at least ERIP_PROCESSES: each process needs a connection"


@_rule("ERIP_DB_BREAKER_MAX_SECONDS", "ERIP_DB_BREAKER_SECONDS")
def _breaker(most: float, first: float) -> str | None:
    return "is less than ERIP_DB_BREAKER_SECONDS" if most < first else None


@_rule("ERIP_BODY_MEMORY", "ERIP_EVENT_BODY_LIMIT", strict=True)
def _room_for_a_body(memory: int, event: int) -> str | None:
    least = 2 * max(ERIP_API_BULK_BODY_LIMIT, ERIP_API_BODY_LIMIT, 2 * event)
    if memory >= least:
        return None
    return f"must be {least} or more, so that one caller's largest body fits in half of it"


@_rule("ERIP_BODY_SECONDS", "ERIP_BODY_GRACE_SECONDS")
def _body(most: float, grace: float) -> str | None:
    return "is less than ERIP_BODY_GRACE_SECONDS" if most < grace else None


@_rule("ERIP_WEB_GRACE_SECONDS", "ERIP_DRAIN_SECONDS")
def _drained_first(grace: float, drain: float) -> str | None:
    return "must be above ERIP_DRAIN_SECONDS, which is part of it" if grace <= drain else None


@_rule("ERIP_WEB_CLIENT_CA", "ERIP_WEB_CERTIFICATE")
def _web_tls(ca: str, certificate: str) -> str | None:
    return (
        "is set, but ERIP_WEB_CERTIFICATE is not: everybody could connect in the clear"
        if ca and not certificate
        else None
    )


@_rule("ERIP_FLOWER_URL")
def _flower_alone(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        return "holds more than a scheme, a host and a port"
    return None


@_rule("ERIP_FLOWER_LOGIN")
def _flower_login(login: str) -> str | None:
    return "is no `name:password`" if login and not all(login.partition(":")) else None


@_rule("ERIP_FLOWER_CA", "ERIP_FLOWER_URL")
def _flower_encrypted(ca: str, url: str) -> str | None:
    return "is set, but ERIP_FLOWER_URL says http: it would be in the clear" if ca and url.startswith("http:") else None


@_rule("ERIP_WEBAUTHN_ORIGINS", "ERIP_WEBAUTHN_RP_ID", "ERIP_PUBLIC_URL")
def _origins_of_keys(origins: list[str], rp: str, public: str) -> str | None:
    rp = rp or urlsplit(public).hostname or ""
    for one in origins:
        host = (urlsplit(one).hostname or "").lower()
        if host != rp and not host.endswith(f".{rp}"):
            return f"names {one!r}, which is not beneath {rp!r} (ERIP_WEBAUTHN_RP_ID): no key would sign there"
    return None


@_rule("ERIP_AUDIT_S3", "ERIP_AUDIT_S3_KEY_ID", "ERIP_AUDIT_S3_SECRET")
def _bucket_key(url: str, key_id: str, secret: str) -> str | None:
    # The leader alone has the key: no other process is asked for a part of it.
    return "needs ERIP_AUDIT_S3_KEY_ID" if url and secret and not key_id else None


@_rule("ERIP_AUTOSCALE_MAX", "ERIP_AUTOSCALE_MIN")
def _workers(most: int, least: int) -> str | None:
    return "is less than ERIP_AUTOSCALE_MIN" if most < least else None


@_rule("ERIP_BROKER_CERTIFICATE", "ERIP_BROKER_CA", "ERIP_BROKER_URL")
def _broker_tls(certificate: str, ca: str, url: str) -> str | None:
    if tls_options(url, ca=ca, certificate=certificate) is None:
        return "is set, but neither ERIP_BROKER_CA nor rediss://" if certificate else None
    try:
        context_of(ca, certificate)
    except OSError as error:
        # OpenSSL does not say which of its files it was.
        files = ", ".join(one for one in (ca, certificate) if one)
        return f"or ERIP_BROKER_CA is no PEM file that can be used: {in_words(error, files)}"
    return None
