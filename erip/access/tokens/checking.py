"""Check a token, and say who it is.

Note [Machine tokens]
A token is looked at only if its issuer is configured. Its signature is checked with a key that the issuer publishes, by
an algorithm that the configuration names and that fits the key; then its issuer, its audience, its times, and how long
it is good for at all. The first rule that fits its claims says its name and its roles; one that no rule fits opens
nothing. A token that was found good is remembered by its digest until it ends, for REMEMBERED seconds at most, so that
a busy caller costs no signature at each request.
"""

import hashlib
import threading
import time
from typing import Any, Final

import jwt
from cachetools import TTLCache

from .. import grants
from ..models import Role
from ..origins import UNBOUND
from ..principals import Principal, of_held
from . import issuers
from .issuers import Issuer, Rule
from .signing_keys import signing_keys

REMEMBERED: Final = 5.0
#: characters of a token
LONGEST: Final = 8_192

_good: TTLCache[bytes, tuple[Principal, float]] = TTLCache(maxsize=4096, ttl=REMEMBERED)
_lock = threading.Lock()


def is_one(token: str) -> bool:
    """Whether this could be a token of an issuer, and not an API key."""
    return token.count(".") == 2 and len(token) <= LONGEST


def remembered(token: str) -> Principal | None:
    """The caller of a token that this process found good a moment ago. Never waits."""
    with _lock:
        found = _good.get(_digest(token))
    return found[0] if found is not None and time.time() < found[1] else None


def authenticate(token: str) -> Principal | None:
    """The caller; None: the token opens nothing. May ask its issuer. Raises IssuerAway."""
    if (known := remembered(token)) is not None:
        return known
    found = _checked(token)
    if found is None:
        return None
    rule, until = found
    principal = of_rule(rule)
    with _lock:
        _good[_digest(token)] = principal, until
    return principal


def of_rule(rule: Rule) -> Principal:
    """Who a token is that this rule fits."""
    own = dict(Role.objects.filter(name__in=rule.roles).values_list("name", "permissions"))
    granted = [{"role": role, "space": rule.space, "own": own.get(role)} for role in rule.roles]
    return of_held(f"token:{rule.name}", grants.held(granted), UNBOUND)


def named(name: str) -> Principal | None:
    """Who tokens of this name are (`feed` of `token:feed`), as it is configured now."""
    rules = (rule for one in issuers.configured().values() for rule in one.rules)
    rule = next((rule for rule in rules if rule.name == name), None)
    return None if rule is None else of_rule(rule)


def forget() -> None:
    """For tests."""
    with _lock:
        _good.clear()
    signing_keys.forget()


def _checked(token: str) -> tuple[Rule, float] | None:
    """The rule that fits the token, and until when it is good."""
    try:
        header = jwt.get_unverified_header(token)
        claimed = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    issuer = issuers.configured().get(str(claimed.get("iss")))
    kid = header.get("kid")
    if issuer is None or not isinstance(kid, str) or header.get("alg") not in issuer.algorithms:
        return None
    key = signing_keys.find(issuer, kid)
    if key is None:
        return None
    claims = _verified(token, key, issuer)
    if claims is None:
        return None
    rule = issuer.rule_for(claims)
    return None if rule is None else (rule, float(claims["exp"]) + issuer.leeway_seconds)


def _verified(token: str, key: jwt.PyJWK, issuer: Issuer) -> dict[str, Any] | None:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(issuer.algorithms),
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway_seconds,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return None
    good_for = float(claims["exp"]) - time.time()
    return claims if good_for <= issuer.longest_seconds + issuer.leeway_seconds else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
