"""The little of etcd's v3 API (its JSON gateway) that the guard needs. No threads, no state but a login.

Every call is bounded: each endpoint gets `timeout` seconds (a login four times that), one after the other, until one
answers.
"""

import base64
import http.client
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any


class EtcdError(Exception):
    """No endpoint answered, or the answer was a refusal."""


@dataclass(frozen=True)
class Entry:
    """One key as it was read. `revision`: of its last change; `created`: of its creation; `lease` 0: none."""

    key: str
    value: str
    revision: int
    created: int
    lease: int


class Etcd:
    """One client, for one thread."""

    def __init__(
        self, endpoints: Sequence[tuple[str, int]], user: str = "", password: str = "", *, timeout: float = 0.5
    ) -> None:
        self._endpoints = list(endpoints)
        self._user, self._password = user, password
        self._timeout = timeout
        self._token: str | None = None

    # --- reading and writing ----------------------------------------------------------------------------

    def under(self, prefix: str) -> dict[str, Entry]:
        """All keys that begin with `prefix`, by name, as of one moment."""
        answer = self._call("/v3/kv/range", {"key": _b64(prefix), "range_end": _b64(_after(prefix))})
        return {entry.key: entry for entry in map(_entry, answer.get("kvs", []))}

    def get(self, key: str) -> Entry | None:
        """One key; None when there is none."""
        found = self._call("/v3/kv/range", {"key": _b64(key)}).get("kvs", [])
        return _entry(found[0]) if found else None

    def delete_if(self, entry: Entry, *, unchanged: Sequence[Entry] = ()) -> bool:
        """Delete `entry` if neither it nor any of `unchanged` has changed since it was read, in one transaction."""
        compares = [
            {"key": _b64(one.key), "target": "MOD", "result": "EQUAL", "mod_revision": str(one.revision)}
            for one in (entry, *unchanged)
        ]
        delete = {"request_delete_range": {"key": _b64(entry.key)}}
        return bool(self._call("/v3/kv/txn", {"compare": compares, "success": [delete]}).get("succeeded"))

    def put(self, key: str, value: str, *, lease: int) -> None:
        self._call("/v3/kv/put", {"key": _b64(key), "value": _b64(value), "lease": str(lease)})

    def delete(self, key: str) -> None:
        self._call("/v3/kv/deleterange", {"key": _b64(key)})

    def grant(self, seconds: int) -> int:
        """A lease: what is put under it goes after `seconds`."""
        return int(self._call("/v3/lease/grant", {"TTL": str(seconds)})["ID"])

    # --- the cluster itself -----------------------------------------------------------------------------

    def healthy(self) -> bool:
        """Whether a majority can write."""
        status, answer = self._request("GET", "/health", None)
        return status == 200 and str(answer.get("health")).lower() == "true"

    def status(self) -> dict[str, Any]:
        """Of the first endpoint that answers: `leader` and `header.member_id`, among others."""
        return self._send("/v3/maintenance/status", {})

    def require_login(self) -> bool:
        """Make `user` the root of this cluster, and let nobody in without a password. True when that is so."""
        if self._login_works():
            return True
        for path, body in (
            ("/v3/auth/user/add", {"name": "root", "password": self._password}),
            ("/v3/auth/role/add", {"name": "root"}),
            ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
        ):
            status, answer = self._request("POST", path, body)
            if status != 200 and "already" not in str(answer):
                return False
        self._request("POST", "/v3/auth/enable", {})
        return self._login_works()

    def _login_works(self) -> bool:
        status, _ = self._request("POST", "/v3/auth/authenticate", {"name": self._user, "password": self._password})
        return status == 200

    # --- the wire ---------------------------------------------------------------------------------------

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send, after logging in when that is needed."""
        if self._user and self._token is None:
            self._login()
        try:
            return self._send(path, body)
        except EtcdError:
            if not self._user:
                raise
            # Another endpoint answers now, which never saw this token; or it has expired.
            self._login()
            return self._send(path, body)

    def _login(self) -> None:
        self._token = None
        login = {"name": self._user, "password": self._password}
        # It goes through the cluster's log, and many log in at once after a failover: giving up early makes that worse.
        self._token = str(self._send("/v3/auth/authenticate", login, patience=4.0)["token"])

    def _send(self, path: str, body: dict[str, Any], *, patience: float = 1.0) -> dict[str, Any]:
        status, answer = self._request("POST", path, body, patience=patience)
        if status != 200:
            raise EtcdError(str(answer.get("message") or answer.get("error") or f"status {status}"))
        return answer

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, *, patience: float = 1.0
    ) -> tuple[int, dict[str, Any]]:
        """From the first endpoint that answers within `patience` timeouts, which is asked first from then on."""
        headers = {"Content-Type": "application/json", **({"Authorization": self._token} if self._token else {})}
        said: list[str] = []
        for _ in range(len(self._endpoints)):
            host, port = self._endpoints[0]
            try:
                with closing(http.client.HTTPConnection(host, port, timeout=self._timeout * patience)) as connection:
                    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                    answer = connection.getresponse()
                    found = json.loads(answer.read())
                if answer.status != 503:
                    return answer.status, found if isinstance(found, dict) else {}
                said.append(f"{host}:{port}: {found}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                said.append(f"{host}:{port}: {error}")
            self._endpoints.append(self._endpoints.pop(0))
        raise EtcdError("; ".join(said))


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(
        base64.b64decode(found["key"]).decode(),
        base64.b64decode(found.get("value", "")).decode(errors="replace"),
        int(found["mod_revision"]),
        int(found["create_revision"]),
        int(found.get("lease", 0)),
    )


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _after(prefix: str) -> str:
    """The first name that does not begin with `prefix`, which is ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
