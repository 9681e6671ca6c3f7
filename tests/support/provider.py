"""An identity provider for tests that speaks OpenID Connect over HTTP: codes that count once, PKCE, a client secret. It
does what it should, until a test has it do something else."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "erip", "a secret with ünusual: letters"
Claims = dict[str, Any]


class OidcServer:
    """claims: of whoever is signed in there. wrong: what tokens say in place of what they should; None: it is missing.
    sign: makes the token, in place of the provider's own key. tampered: what its document says in place of."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.codes: dict[str, Claims] = {}
        self.asked: list[Claims] = []
        self.exchanges = 0
        self.reset()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                split = urlsplit(self.path)
                if split.path == "/authorize":
                    self._send(302, b"", Location=server._authorized(_flat(split.query)))
                elif split.path == "/keys":
                    self._json({"keys": [server.published()]})
                else:
                    self._json(server.document() | server.tampered)

            def do_POST(self) -> None:
                form = _flat(self.rfile.read(int(self.headers["Content-Length"])).decode())
                status, told = server._exchanged(form, self.headers.get("Authorization", ""))
                self._json(told, status)

            def _json(self, told: Any, status: int = 200) -> None:
                status = status if server.up else 503
                self._send(status, json.dumps(told).encode(), **{"Content-Type": "application/json"})

            def _send(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        self.up = True
        self.claims: Claims = {"sub": "00u1", "preferred_username": "ada", "email": "ada@example.org", "name": "Ada L"}
        self.wrong: Claims = {}
        self.tampered: Claims = {}
        self.sign: Callable[[Claims], str] | None = None
        self.error = ""

    def document(self) -> Claims:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/end",
        }

    def published(self) -> Claims:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**public, "kid": "one", "use": "sig"}

    def signed(self, claims: Claims) -> str:
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.sign(claims) if self.sign else jwt.encode(claims, self.key, "RS256", {"kid": "one"})

    def logout_token(self, **more: Any) -> str:
        event = {"http://schemas.openid.net/event/backchannel-logout": {}}
        now = int(time.time())
        told = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_hex(8),
            "events": event,
        }
        return self.signed({**told, "sub": self.claims["sub"], **more})

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _authorized(self, query: Claims) -> str:
        """Where the browser is sent back to: whoever asks is signed in there already."""
        self.asked.append(query)
        back = {"state": query["state"]}
        if self.error:
            back["error"] = self.error
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = query
            back["code"] = code
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def _exchanged(self, form: Claims, authorization: str) -> tuple[int, Claims]:
        self.exchanges += 1
        query = self.codes.pop(form.get("code", ""), None)
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (unquote(name), unquote(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if query is None or (query["code_challenge"], query["redirect_uri"]) != (challenge, form.get("redirect_uri")):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        told = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": query["nonce"], "auth_time": now}
        return 200, {"id_token": self.signed({**told, **self.claims, **self.wrong}), "access_token": "x"}


def _flat(query: str) -> Claims:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
