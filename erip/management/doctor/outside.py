"""A deployment as a client sees it, by its URL alone: probes, TLS, and what answers without a login."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from .findings import Finding, problem, unknown, warning, well

#: seconds for an answer
_PATIENCE = 10.0
#: bytes of an answer that are read
_MOST = 65_536
#: days for which a certificate should still be good
_SOON = 21
_SKEW = 5.0


class Outside:
    """All checks by one URL. ca: a PEM file with the authority that signed the server's certificate."""

    def __init__(self, url: str, ca: str = "") -> None:
        """Raises ValueError for what is no http:// or https:// URL, OSError for a file that cannot be read."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(f"{url!r} is no address of a server: it must be http://… or https://…, without a login")
        self.host, self.port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self.secure = parts.scheme == "https"
        self.base = f"{parts.scheme}://{parts.netloc}"
        self._context = ssl.create_default_context(cafile=ca or None)
        # No proxy and no login of this machine: it asks as a stranger.
        self._client = httpx.Client(verify=self._context, timeout=_PATIENCE, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def it_serves(self) -> Iterator[Finding]:
        for path, fails in (
            ("/health/live", "no process answers behind it: see whether web processes run"),
            ("/health/startup", "run manage.py migrate and manage.py bootstrap"),
            ("/health/ready", "see manage.py doctor on the inside"),
        ):
            answer, seconds = self._get(path)
            if answer.status_code == 200:
                state = _word(answer, "status")
                if state == "degraded":
                    yield warning(path, "ready, but something that it uses does not answer", "look at it from inside")
                else:
                    yield well(path, f"200 within {seconds * 1000:.0f} ms")
            else:
                yield problem(
                    path, f"{answer.status_code}: {_word(answer, 'reason') or _word(answer, 'status')}", fails
                )
        if date := answer.headers.get("date"):
            skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
            if skew > _SKEW:
                yield warning("clock", f"the server's differs from this one by {skew:.0f} s", "synchronise with NTP")

    def strangers_are_kept_out(self) -> Iterator[Finding]:
        for path in ("/api/v1/runs", "/api/v1/health", "/metrics"):
            answer, _ = self._get(path)
            if answer.status_code in (401, 403, 404):
                yield well(path, f"{answer.status_code} without a login")
            else:
                yield problem(path, f"answers {answer.status_code} without a login", "who is in front of it, and why?")
        answer, _ = self._get("/admin/login/")
        missing = [
            name
            for name in ("content-security-policy", "x-content-type-options", "x-frame-options")
            if name not in answer.headers
        ]
        if missing and answer.status_code == 200:
            yield warning("/admin/login/", f"has no {', '.join(missing)}", "a proxy in front of it takes headers away")

    def it_is_encrypted(self) -> Iterator[Finding]:
        if not self.secure:
            yield warning("TLS", f"{self.base} is not encrypted: keys and logins can be read", "serve it by HTTPS")
            return
        with (
            socket.create_connection((self.host, self.port), timeout=_PATIENCE) as raw,
            self._context.wrap_socket(raw, server_hostname=self.host) as connection,
        ):
            certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
            version = connection.version()
        days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
        if days < _SOON:
            yield warning("TLS", f"the certificate ends in {days} days", "renew it, and find out why nothing did")
        else:
            yield well("TLS", f"{version}; the certificate is good for {days} days")
        answer, _ = self._get("/health/live")
        if "strict-transport-security" not in self._get("/admin/login/")[0].headers and answer.status_code == 200:
            yield warning(
                "TLS",
                "browsers are not told to stay with HTTPS (no Strict-Transport-Security)",
                "use erip.settings.production, and let the proxy say X-Forwarded-Proto: https",
            )

    def _get(self, path: str) -> tuple[httpx.Response, float]:
        """Follows nothing, and reads no more than a page."""
        began = time.monotonic()
        with self._client.stream("GET", self.base + path) as answer:
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _MOST or time.monotonic() - began > _PATIENCE:
                    break
        full = httpx.Response(answer.status_code, headers=_plain(answer.headers), content=body[:_MOST])
        return full, time.monotonic() - began


def of_url(outside: Outside) -> Iterator[Finding]:
    """Says in one finding what all checks have in common: nobody is there, or nobody to be trusted."""
    try:
        outside._get("/health/live")
    except httpx.ConnectError as error:
        trusted = "certificate" not in str(error).lower()
        do = "look at the name, the port, the proxy" if trusted else "name the authority with --ca, or correct it"
        yield problem(outside.base, f"cannot be reached: {error}"[:300], do)
        return
    except httpx.HTTPError as error:
        yield problem(outside.base, f"does not answer: {type(error).__name__}", "look at the proxy in front of it")
        return
    for check in (outside.it_serves, outside.strangers_are_kept_out, outside.it_is_encrypted):
        try:
            yield from check()
        except (httpx.HTTPError, OSError) as error:
            yield unknown(outside.base, f"could not be looked at: {type(error).__name__}")


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Without what says how the body was packed: it is unpacked already."""
    return {name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")}


def _word(answer: httpx.Response, name: str) -> str:
    """A text of a JSON object; empty for anything else."""
    try:
        found = answer.json()
    except ValueError:
        return ""
    return str(found.get(name, ""))[:200] if isinstance(found, dict) else ""
