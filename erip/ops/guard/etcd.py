"""The few calls of etcd's v3 API (JSON gateway) that the guard and the keeper need. No threads, no state but a login.

An endpoint is an address, reached by TLS when there is a `Tls`, or the path of a Unix socket.

Every call is bounded: each endpoint gets `timeout` seconds (four times that for a login), and they are tried one after
the other until one answers.
"""

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erip.foundation.os_errors import in_words
from erip.foundation.process.trust import context_of

#: a host and its port, or a Unix socket
Endpoint = tuple[str, int] | Path


class EtcdError(Exception):
    """No endpoint answered, or the answer was a refusal."""


@dataclass(frozen=True)
class Tls:
    """Our certificate, and the authority that we trust: PEM files. They are read again after a renewal."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Raises OSError if the files could never be read."""
        return context_of(str(self.ca), str(self.certificate), str(self.key))


@dataclass(frozen=True)
class Entry:
    """One key as it was read. `revision`: of its last change; `created`: of its creation; `lease`: 0 if it has none."""

    key: str
    value: str
    revision: int
    created: int
    lease: int


@dataclass(frozen=True)
class Member:
    """One etcd of the cluster. name: empty until it has started."""

    id: int
    name: str
    peers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name or 'not started yet'} at {', '.join(self.peers)}"


class Etcd:
    """One client, for one thread."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        user: str = "",
        password: str = "",
        *,
        tls: Tls | None = None,
        timeout: float = 0.5,
    ) -> None:
        self._endpoints = list(endpoints)
        self._tls = tls
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

    def put_if(self, key: str, value: str, *, before: Entry | None) -> bool:
        """Store it if the key has not changed since `before` was read; None: if there is no such key."""
        compare: dict[str, Any] = {"key": _b64(key), "result": "EQUAL"}
        if before is None:
            compare |= {"target": "CREATE", "create_revision": "0"}
        else:
            compare |= {"target": "MOD", "mod_revision": str(before.revision)}
        put = {"request_put": {"key": _b64(key), "value": _b64(value)}}
        return bool(self._call("/v3/kv/txn", {"compare": [compare], "success": [put]}).get("succeeded"))

    def put(self, key: str, value: str, *, lease: int) -> None:
        self._call("/v3/kv/put", {"key": _b64(key), "value": _b64(value), "lease": str(lease)})

    def delete(self, key: str) -> None:
        self._call("/v3/kv/deleterange", {"key": _b64(key)})

    def grant(self, seconds: int) -> int:
        """Makes a lease: what is stored under it expires after `seconds`."""
        return int(self._call("/v3/lease/grant", {"TTL": str(seconds)})["ID"])

    # --- the cluster itself -----------------------------------------------------------------------------

    def healthy(self) -> bool:
        """Whether a majority can write."""
        status, answer = self._request("GET", "/health", None)
        return status == 200 and str(answer.get("health")).lower() == "true"

    def status(self) -> dict[str, Any]:
        """The status of the first endpoint that answers: `leader` and `header.member_id`, among others."""
        return self._send("/v3/maintenance/status", {})

    def require_login(self, users: Mapping[str, tuple[str, Sequence[str]]] | None = None) -> bool:
        """Make `user` the root of this cluster, and require a password for every access. True when that is so.

        `users`: the other users that must exist, each with a password and the prefixes that it may read and write.
        """
        wanted: list[tuple[str, dict[str, Any]]] = [
            ("/v3/auth/user/add", {"name": "root", "password": self._password}),
            ("/v3/auth/role/add", {"name": "root"}),
            ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
        ]
        for name, (password, prefixes) in (users or {}).items():
            wanted += [
                ("/v3/auth/role/add", {"name": name}),
                ("/v3/auth/user/add", {"name": name, "password": password}),
            ]
            for prefix in prefixes:
                span = {"key": _b64(prefix), "range_end": _b64(_after(prefix))}
                wanted.append(("/v3/auth/role/grant", {"name": name, "perm": {"permType": "READWRITE", **span}}))
            wanted.append(("/v3/auth/user/grant", {"user": name, "role": name}))
        logins = [(self._user, self._password), *((name, one[0]) for name, one in (users or {}).items())]
        if all(self._login_works(*login) for login in logins):
            return True
        if self._login_works(self._user, self._password):
            self._login()
        for path, body in wanted:
            status, answer = self._request("POST", path, body)
            if status != 200 and "already" not in str(answer):
                return False
        self._request("POST", "/v3/auth/enable", {})
        return all(self._login_works(*login) for login in logins)

    def _login_works(self, user: str, password: str) -> bool:
        status, _ = self._request("POST", "/v3/auth/authenticate", {"name": user, "password": password})
        return status == 200

    def members(self) -> list["Member"]:
        """All members, also those that do not answer."""
        found = self._call("/v3/cluster/member/list", {}).get("members", [])
        return [Member(int(one["ID"]), one.get("name", ""), tuple(one.get("peerURLs", ()))) for one in found]

    def remove_member(self, member: int) -> None:
        self._call("/v3/cluster/member/remove", {"ID": str(member)})

    def add_member(self, peer: str) -> int:
        """The id of a new member at this address for peers, which has not started yet."""
        return int(self._call("/v3/cluster/member/add", {"peerURLs": [peer]})["member"]["ID"])

    # --- room: Note [Full] in `keeper` ------------------------------------------------------------------

    def compact(self, revision: int) -> None:
        """Forget the history before `revision` on all members; returns when that is done."""
        self._call("/v3/kv/compaction", {"revision": str(revision), "physical": True}, patience=20.0)

    def defragment(self) -> None:
        """Free the room of what was forgotten, on the first endpoint alone; it answers no other request meanwhile."""
        self._call("/v3/maintenance/defragment", {}, patience=60.0)

    def disarm(self, member: int) -> None:
        """Clear a member's alarm that its store is full."""
        self._call("/v3/maintenance/alarm", {"action": "DEACTIVATE", "memberID": str(member), "alarm": "NOSPACE"})

    def names(self) -> list[str]:
        """The names of all keys, of whatever prefix."""
        everything = {"key": _b64("\0"), "range_end": _b64("\0"), "keys_only": True}
        answer = self._call("/v3/kv/range", everything, patience=10.0)
        return [base64.b64decode(one["key"]).decode(errors="surrogateescape") for one in answer.get("kvs", [])]

    def full(self) -> list[int]:
        """The members that say that their store is full."""
        answer = self._call("/v3/maintenance/alarm", {"action": "GET"})
        return [int(one["memberID"]) for one in answer.get("alarms", []) if one.get("alarm") == "NOSPACE"]

    # --- the wire ---------------------------------------------------------------------------------------

    def _call(self, path: str, body: dict[str, Any], *, patience: float = 1.0) -> dict[str, Any]:
        """Send, after logging in when that is needed."""
        if self._user and self._token is None:
            self._login()
        try:
            return self._send(path, body, patience=patience)
        except EtcdError:
            if not self._user:
                raise
            # Another endpoint answers now and has never seen this token, or the token has expired.
            self._login()
            return self._send(path, body, patience=patience)

    def _login(self) -> None:
        self._token = None
        login = {"name": self._user, "password": self._password}
        # A login goes through the cluster's log, and many log in at once after a failover: giving up early adds
        # to that.
        self._token = str(self._send("/v3/auth/authenticate", login, patience=4.0)["token"])

    def _send(self, path: str, body: dict[str, Any], *, patience: float = 1.0) -> dict[str, Any]:
        status, answer = self._request("POST", path, body, patience=patience)
        if status != 200:
            raise EtcdError(str(answer.get("message") or answer.get("error") or f"status {status}"))
        return answer

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, *, patience: float = 1.0
    ) -> tuple[int, dict[str, Any]]:
        """The first answer that comes within `patience` timeouts; its endpoint is asked first from then on."""
        headers = {"Content-Type": "application/json", **({"Authorization": self._token} if self._token else {})}
        said: list[str] = []
        for _ in range(len(self._endpoints)):
            endpoint = self._endpoints[0]
            try:
                with closing(self._connection(endpoint, self._timeout * patience)) as connection:
                    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                    answer = connection.getresponse()
                    found = json.loads(answer.read())
                if answer.status != 503:
                    return answer.status, found if isinstance(found, dict) else {}
                said.append(f"{_named(endpoint)}: {found}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                said.append(f"{_named(endpoint)}: {in_words(error)}")
            self._endpoints.append(self._endpoints.pop(0))
        raise EtcdError("; ".join(said))

    def _connection(self, endpoint: Endpoint, timeout: float) -> http.client.HTTPConnection:
        if isinstance(endpoint, Path):
            return _SocketConnection(endpoint, timeout)
        if self._tls is None:
            return http.client.HTTPConnection(*endpoint, timeout=timeout)
        return http.client.HTTPSConnection(*endpoint, timeout=timeout, context=self._tls.context())


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _named(endpoint: Endpoint) -> str:
    return str(endpoint) if isinstance(endpoint, Path) else f"{endpoint[0]}:{endpoint[1]}"


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(
        base64.b64decode(found["key"]).decode(),
        base64.b64decode(found.get("value", "")).decode(errors="replace"),
        int(found["mod_revision"]),
        int(found["create_revision"]),
        int(found.get("lease", 0)),
    )


def _b64(text: str) -> str:
    return base64.b64encode(text.encode(errors="surrogateescape")).decode()


def _after(prefix: str) -> str:
    """The first name that does not begin with `prefix`, which is ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
