"""A planned switchover of PostgreSQL, as `patronictl switchover` asks for it."""

import base64
import http.client
import json
from typing import Any

from erip.ops.stack.ha.patroni import asked
from erip.ops.stack.ha.roles import Roles
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
    port, mine = read_json(state.ports)[f"{node}-rest"], Roles(state).patroni_identity
    login = base64.b64encode(f"{USER}:{read_json(state.secrets)['patroni_rest']}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    try:
        status, said = asked(port, mine, "/switchover", body=json.dumps(body), headers=headers)
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"Patroni does not answer: {error}") from error
    if status >= 400:
        raise BenchmarkError(f"Patroni refused the switchover: {status} {said.decode(errors='replace')}")
