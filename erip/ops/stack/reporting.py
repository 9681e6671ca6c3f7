"""What a supervisor reports: progress to the process that started it, and what runs to all who may read the state."""

import json
import os
import sys
from collections.abc import Mapping
from typing import IO, Any

from erip.ops.stack.children import Child, Children, Server
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.processes import Identity
from erip.ops.stack.services import Service
from erip.ops.stack.state import State, write_json


class Progress:
    """JSON lines to a pipe, for as long as somebody listens."""

    def __init__(self, pipe: IO[str] | None) -> None:
        self._pipe = pipe

    def tell(self, **what: Any) -> None:
        if self._pipe is not None:
            try:
                print(json.dumps(what), file=self._pipe, flush=True)
            except OSError:  # the process that started us no longer listens
                self._pipe = None

    def done(self, title: str, seconds: float) -> None:
        self.tell(done=title, seconds=round(seconds, 2))

    def warn(self, message: str) -> None:
        self.tell(warning=message)

    def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def write_status(
    state: State,
    children: Children,
    *,
    phase: str,
    layout: str,
    addresses: Mapping[str, str],
    code: str,
    reloaded: Mapping[str, Any] | None = None,
) -> None:
    """supervisor.json: each process with what identifies it, where users find the platform, which code it is
    (`releases.fingerprint`), and how its last reload went (`number`, `failed`, `seconds`)."""
    me = Identity.of(os.getpid())
    write_json(
        state.supervisor,
        {
            "id": children.stack_id,
            "phase": phase,
            "layout": layout,
            "code": code,
            "reloaded": dict(reloaded or {}),
            "python": sys.prefix,
            "addresses": dict(addresses),
            "pid": os.getpid(),
            "started": me.started if me else 0,
            "processes": [_process(child) for child in children.all],
        },
    )


def _process(child: Child) -> dict[str, Any]:
    return {
        "name": child.name,
        "title": getattr(child.what, "title", child.name),
        "pid": child.identity.pid if child.identity else None,
        "started": child.identity.started if child.identity else None,
        "restarts": child.restarts,
        # without a password
        "url": _where(child.what),
        "log": str(child.log),
    }


def _where(what: Service | Server) -> str | None:
    if isinstance(what, Service):
        return what.url
    return f"{LOOPBACK}:{what.port}" if what.port else None
