"""Several who store something under the same new name at once: none of them gets an error of ours."""

from functools import partial
from typing import Any

import orjson
import pytest

from erip.access.scopes import Scope
from tests.integration.test_audit_doors import CHANNEL, PLAN, RULE, SECRET, TRIGGER
from tests.integration.test_idempotency_keys import DECISIONS, DOCUMENT, SCHEDULE
from tests.support.api import DEFINITION, Api, key, publish
from tests.support.races import together

pytestmark = pytest.mark.django_db(transaction=True)

#: for each PUT: its address, and what is stored
PUTS: dict[str, tuple[str, Any]] = {
    "putAlertChannel": ("/alerts/channels/at-once", CHANNEL),
    "putAlertRule": ("/alerts/rules/at-once", {"rule": RULE}),
    "putEventType": ("/event-types/test.at.once", {"schema": {"type": "object"}}),
    "putFlag": ("/flags/look-up", {"percent": 5}),
    "putOnCall": ("/alerts/on-call", {"plan": PLAN}),
    "putSchedule": ("/schedules/at-once", {"schedule": SCHEDULE}),
    "putSecret": ("/secrets/at_once", SECRET),
    "putTrigger": ("/triggers/at-once", TRIGGER),
    "publishDecisionTable": ("/decisions/at-once", DECISIONS),
    "publishWorkflow": ("/workflows/at-once", DEFINITION.replace("look-up", "at-once")),
}


def put(api: Api, path: str, body: Any) -> int:
    if isinstance(body, str):
        return int(api.send("PUT", path, body.encode(), Content_Type="application/yaml").status_code)
    return int(api.send("PUT", path, orjson.dumps(body)).status_code)


def test_every_put_is_here() -> None:
    every = {item["put"]["operationId"] for item in DOCUMENT["paths"].values() if "put" in item}
    assert every == PUTS.keys()


@pytest.mark.parametrize("name", PUTS)
def test_all_of_them_are_answered(name: str) -> None:
    publish()
    token = key(Scope.ADMIN)
    # On-call plans name channels.
    assert put(Api(token), "/alerts/channels/ana-mail", CHANNEL) < 300
    answers = together([partial(put, Api(token), *PUTS[name]) for _ in range(5)])

    assert [status for status in answers if status >= 300] == []
