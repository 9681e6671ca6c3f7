"""OpenID Connect: send a browser to a provider, and check what comes back.

Note [OIDC]
The authorization code flow with PKCE (RFC 7636) alone: no token ever is in an address. Who somebody is, is what the
signed ID token says, which comes straight from the provider, and is checked nevertheless as OpenID Connect Core 3.1.3.7
has it: a signature by a key that the issuer publishes and by an algorithm that we allow (never `none`, never a shared
secret), issuer, audience, authorized party, times, nonce. `state` binds the answer to the browser that asked, `iss`
(RFC 9207) to the provider that was asked. Redirects of the provider are not followed, its answers are bounded in bytes
and time, and a process waits for AT_ONCE of each provider at the most: one that hangs takes no further threads with it,
and keeps nobody from signing in at another one.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode

import jwt
import structlog
from cachetools import TTLCache

from ...errors import IssuerAway
from ...tokens.signing_keys import document, signing_keys
from .asking import Asked
from .configured import OidcProvider, is_safe
from .shown import Away, Refused, Shown, text, texts

log = structlog.get_logger(__name__)

#: seconds for an answer; requests to one provider that a process makes at once
SECONDS: Final = 5.0
AT_ONCE: Final = 8
#: seconds for which a provider's addresses are kept, and for which one that did not answer is not asked
KEEP: Final = 3_600
AGAIN: Final = 5.0
#: characters of an ID token
LONGEST: Final = 65_536
#: seconds since 1970 that a time may be: no more than any date has
_LATEST: Final = 1e11
_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"

_addresses: TTLCache[str, Mapping[str, Any]] = TTLCache(maxsize=64, ttl=KEEP)
_silent: TTLCache[str, bool] = TTLCache(maxsize=64, ttl=AGAIN)
_lock = threading.Lock()
#: by issuer, as the setting names them
_places: dict[str, threading.BoundedSemaphore] = {}


def address(provider: OidcProvider, asked: Asked, return_to: str) -> str:
    """Where the browser is sent. Raises Away."""
    digest = hashlib.sha256(asked.verifier.encode()).digest()
    wanted = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": return_to,
        "scope": " ".join(provider.scopes),
        "state": asked.state,
        "nonce": asked.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if asked.purpose == "prove":
        wanted |= {"prompt": "login", "max_age": "0"}
        if provider.second_factor.acr:
            wanted["acr_values"] = " ".join(provider.second_factor.acr)
    begin = str(_found(provider)["authorization_endpoint"])
    return f"{begin}{'&' if '?' in begin else '?'}{urlencode(wanted)}"


def answer(provider: OidcProvider, asked: Asked, sent: Mapping[str, str], return_to: str) -> Shown:
    """Who came back. sent: the parameters of the address. Raises Refused, Away."""
    found = _found(provider)
    iss = sent.get("iss")
    if (iss is not None and iss != provider.issuer) or (
        iss is None and found.get("authorization_response_iss_parameter_supported") is True
    ):
        raise Refused(f"This is no answer of {provider.title}.", "iss")
    if "error" in sent:
        raise Refused(f"{provider.title} did not sign you in: {text(sent['error'])[:100]}.", "error")
    code = sent.get("code", "")
    if not code or len(code) > LONGEST:
        raise Refused(f"{provider.title} sent no code.", "code")
    return shown(provider, _verified(provider, _exchanged(provider, found, code, asked, return_to), asked.nonce))


def shown(provider: OidcProvider, claims: Mapping[str, Any]) -> Shown:
    """What the claims of an ID token say."""
    names = claims.get("_claim_names")
    beyond = isinstance(names, dict) and provider.groups in names  # more than fit into a token
    subject = text(claims["sub"])
    if not 0 < len(subject) <= 255:
        raise Refused(f"{provider.title} did not say who you are.", "sub")
    at = claims.get("auth_time")
    return Shown(
        provider.issuer,
        subject,
        username=text(claims.get(provider.username)),
        email="" if claims.get("email_verified") is False else text(claims.get(provider.email)),
        name=text(claims.get(provider.full_name)),
        groups=None if beyond or claims.get("hasgroups") is True else texts(claims.get(provider.groups)),
        second_factor=provider.second_factor.is_shown(amr=texts(claims.get("amr")), acr=texts(claims.get("acr"))),
        session=text(claims.get("sid")),
        at=float(at) if isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at < _LATEST else None,
    )


def ended(provider: OidcProvider, token: str) -> tuple[str, str, str]:
    """(subject, session, id) of a token by which the provider says that somebody signed out there: OpenID Connect
    Back-Channel Logout 1.0, 2.6. Raises Refused, Away."""
    claims = _decoded(provider, token, require=["iss", "aud", "iat", "jti", "events"])
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict) or "nonce" in claims:
        raise Refused("This is no token of signing out.", "events")
    if abs(time.time() - float(claims["iat"])) > 300 + provider.leeway_seconds:
        raise Refused("This token is old.", "iat")
    subject, session = text(claims.get("sub")), text(claims.get("sid"))
    if not subject and not session:
        raise Refused("This token names nobody.", "sub")
    return subject, session, text(claims["jti"])


def end_address(provider: OidcProvider, return_to: str) -> str:
    """Where somebody signs out of the provider, too; "" if it has no such page, or does not answer."""
    try:
        begin = _found(provider).get("end_session_endpoint")
    except Away:
        return ""
    if not isinstance(begin, str) or not begin.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return ""
    wanted = {"client_id": provider.client_id, "post_logout_redirect_uri": return_to}
    return f"{begin}{'&' if '?' in begin else '?'}{urlencode(wanted)}"


def forget() -> None:
    """For tests."""
    with _lock:
        _addresses.clear()
        _silent.clear()


def _found(provider: OidcProvider) -> Mapping[str, Any]:
    """The provider's document (OpenID Connect Discovery 1.0). Raises Away."""
    with _lock:
        known: Mapping[str, Any] | None = _addresses.get(provider.issuer)
        if known is not None:
            return known
        if provider.issuer in _silent:
            raise Away
    import httpx

    try:
        with _place(provider), httpx.Client(timeout=SECONDS, follow_redirects=False) as client:
            found = document(client, f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != provider.issuer:
            raise ValueError("the document is another issuer's")
        for name in ("authorization_endpoint", "token_endpoint"):
            is_safe(str(found[name]))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        log.warning("provider_not_read", provider=provider.name, error=error)
        with _lock:
            _silent[provider.issuer] = True
        raise Away from error
    with _lock:
        _addresses[provider.issuer] = found
    return found


def _exchanged(provider: OidcProvider, found: Mapping[str, Any], code: str, asked: Asked, return_to: str) -> str:
    """The ID token for a code. Raises Refused, Away."""
    import httpx

    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": return_to,
        "code_verifier": asked.verifier,
        "client_id": provider.client_id,
    }
    headers = {"Accept": "application/json"}
    try:
        secret = provider.client_secret()
    except (OSError, ValueError) as error:
        log.error("provider_secret_not_read", provider=provider.name, error=type(error).__name__)
        raise Away from error
    if secret:
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            # RFC 6749, 2.3.1: both are encoded as in a form first.
            pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_secret"] = secret
    try:
        with _place(provider), httpx.Client(timeout=SECONDS, follow_redirects=False) as client:
            status, told = _sent(client, str(found["token_endpoint"]), form, headers)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        log.warning("provider_not_asked", provider=provider.name, error=type(error).__name__)
        raise Away from error
    if status >= 500:
        raise Away
    token = told.get("id_token")
    if status != 200 or not isinstance(token, str) or len(token) > LONGEST:
        # A code that was used, one of somebody else, a wrong secret: its word for it is in the log.
        said = f"{provider.title} did not sign you in. Please begin again."
        raise Refused(said, text(told.get("error")) or "no token")
    return token


def _sent(client: Any, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Raises httpx.HTTPError, ValueError."""
    body, until = bytearray(), time.monotonic() + SECONDS
    with client.stream("POST", address, data=form, headers=headers) as found:
        for part in found.iter_bytes():
            body += part
            if len(body) > 4 * LONGEST or time.monotonic() > until:
                raise ValueError("too much, or too slow")
    told = json.loads(bytes(body)) if found.status_code < 500 else {}
    if not isinstance(told, dict):
        raise ValueError("no object")
    return found.status_code, told


def _verified(provider: OidcProvider, token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token. Raises Refused, Away."""
    claims = _decoded(provider, token, require=["exp", "iat", "iss", "aud", "sub"])
    if claims.get("nonce") != nonce:
        raise _unproved(provider, "nonce")
    parties = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", provider.client_id if len(parties) == 1 else None) != provider.client_id:
        raise _unproved(provider, "azp")
    return claims


def _decoded(provider: OidcProvider, token: str, *, require: list[str]) -> dict[str, Any]:
    if len(token) > LONGEST:
        raise _unproved(provider, "too long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _unproved(provider, "no token") from error
    kid = header.get("kid")
    if header.get("alg") not in provider.algorithms or not isinstance(kid, str):
        raise _unproved(provider, "alg or kid")
    try:
        # It may ask the provider, and a stranger can make it do so: by a token of signing out.
        with _place(provider):
            key = signing_keys.find(provider, kid)
    except IssuerAway as error:
        raise Away from error
    if key is None:
        raise _unproved(provider, "unknown key")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(provider.algorithms),
            audience=provider.client_id,
            issuer=provider.issuer,
            leeway=provider.leeway_seconds,
            options={"require": require},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _unproved(provider, type(error).__name__) from error
    return claims


def _unproved(provider: OidcProvider, detail: str) -> Refused:
    return Refused(f"What {provider.title} sent does not prove who you are. Please begin again.", detail)


@contextmanager
def _place(provider: OidcProvider) -> Iterator[None]:
    """One of those that wait for this provider. Raises Away."""
    with _lock:
        places = _places.setdefault(provider.issuer, threading.BoundedSemaphore(AT_ONCE))
    if not places.acquire(blocking=False):
        raise Away
    try:
        yield
    finally:
        places.release()
