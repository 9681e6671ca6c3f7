"""A planned switchover of PostgreSQL, as `patronictl switchover` asks for it."""

import base64
import json
import urllib.request
from typing import Any

from erip.ops.stack.ha.roles import Roles
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.state import State, read_json

from ..errors import BenchmarkError

#: the user of Patroni's REST API in `deploy/patroni/patroni.yml`
USER = "patroni"


def switch_over(state: State) -> tuple[str, str]:
    """Make the first replica that streams the primary. Returns the old and the new one. Raises BenchmarkError."""
    roles = Roles(state)
    leader, candidates = roles.postgres_primary(), roles.postgres_voters()
    if leader is None or not candidates:
        raise BenchmarkError("PostgreSQL has no primary, or nobody could take over.")
    _ask(state, leader, {"leader": leader, "candidate": candidates[0]})
    return leader, candidates[0]


def _ask(state: State, node: str, body: dict[str, Any]) -> None:
    port = read_json(state.ports)[f"{node}-rest"]
    login = base64.b64encode(f"{USER}:{read_json(state.secrets)['patroni_rest']}".encode()).decode()
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}/switchover",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Basic {login}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # nosec B310 (ours)
            answer.read()
    except OSError as error:
        raise BenchmarkError(f"Patroni refused the switchover: {error}") from error
