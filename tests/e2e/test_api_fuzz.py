"""Requests drawn from the OpenAPI document, right and wrong ones, against a real web server and database.

Nothing may be answered with a server error, with a status or a shape that the document does not name, or be accepted
although it breaks the document.
"""

import asyncio
import os
from typing import Any

import orjson
import pytest
import requests
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from erip.access import keys
from erip.access.models import ApiKey
from erip.access.scopes import Scope
from erip.asgi import application
from erip.foundation.http.documents import _document
from tests.support.api import DEFINITION, INPUT
from tests.support.server import serving
from workflows import engine
from workflows.events.streaming import listening

# Needed only to set up the database; the web server's threads have connections of their own.
pytestmark = pytest.mark.django_db

#: for each operation, right ones and as many wrong ones: some 4,000 requests in all. The same requests each time,
#: unless the run asks for more.
EXAMPLES = int(os.environ.get("ERIP_FUZZ_EXAMPLES", "25"))
DOCUMENT: dict[str, Any] = orjson.loads(_document())
OPERATIONS = [
    (operation["operationId"], mode)
    # What is deleted is deleted last: the others are to find something.
    for deletes in (False, True)
    for item in DOCUMENT["paths"].values()
    for method, operation in item.items()
    if (method == "delete") is deletes
    for mode in GenerationMode
    # What takes nothing can be sent nothing wrong.
    if mode is GenerationMode.POSITIVE or operation.get("parameters") or operation.get("requestBody")
]
#: operations on the key whose number is in the path
OF_KEYS = {
    operation["operationId"]
    for path, item in DOCUMENT["paths"].items()
    if path.startswith("/api/v1/keys/{number}")
    for operation in item.values()
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
#: something of each kind that has a name, all under the same one
NAMED: dict[str, dict[str, Any]] = {
    "schedules/look-up": {
        "schedule": {
            "workflow": "look-up", "input": INPUT, "every": "1h", "from": "2026-01-01T00:00:00Z", "catch_up": "none",
            "overlap": "allow",
        },
    },
    "decisions/look-up": {
        "inputs": [{"name": "n", "optional": True}], "outputs": [{"name": "o"}], "rules": [{"then": {"o": 1}}],
    },
    "flags/look-up": {"percent": 5},
    "secrets/anything": {"provider": "files", "everywhere": True},
    "triggers/look-up": {"workflow": "look-up", "rule": {"event": "acme.found", "action": "drop"}},
    "alerts/rules/look-up": {
        "rule": {
            "summary": "Much waits", "severity": "page", "metric": "erip_lane_waiting_steps", "by": ["lane"],
            "above": 2, "runbook": "work-late",
        },
    },
}  # fmt: skip
#: The number of the key that the requests are sent with, which none of them may name: a key that was revoked or changed
#: by a request makes all that come after it requests of a stranger. Far from the numbers that are drawn, which are
#: small, or powers of two.
CALLER = 7_654_321_012
TAKES_ANYTHING = "name: anything\nsteps: {a: {uses: test.look_up, with: {cves: []}}}\n"


async def cutting_streams(scope: Any, receive: Any, send: Any) -> None:
    """The application, with a client that leaves a stream after its first bytes: it would listen for ever."""
    if not scope["path"].endswith("/events/stream"):
        await application(scope, receive, send)
        return
    asked, heard = False, asyncio.Event()

    async def receive_and_leave() -> Any:
        nonlocal asked
        if asked:
            await heard.wait()
            return {"type": "http.disconnect"}
        asked = True
        return await receive()

    async def send_once(message: Any) -> None:
        if not heard.is_set():
            if message.get("body"):
                message = {**message, "more_body": False}
                heard.set()
            await send(message)

    await application(scope, receive_and_leave, send_once)


def numbered_key(number: int, scope: Scope) -> str:
    """A new key's token. number: the key's."""
    made = keys.create(name=f"key {number}", scope=scope)
    assert ApiKey.objects.filter(pk=made.row.pk).update(id=number) == 1
    return made.token


@pytest.fixture(scope="module")
def site(django_db_setup, django_db_blocker):
    """The base URL, a key's header, path parameters that lead somewhere, and each operation's own ones."""
    with django_db_blocker.unblock():
        keys.forget_cached()
        headers = {"Authorization": f"Bearer {numbered_key(CALLER, Scope.ADMIN)}"}
        engine.publish(None, DEFINITION, "yaml", author="test")
        engine.publish(None, TAKES_ANYTHING, "yaml", author="test")
        # A run and a key for each operation: what an earlier test did to its own must not hide what this one would do.
        started = engine.start_runs("look-up", [engine.StartRequest(INPUT)] * len(OPERATIONS), principal="test")
        own = {
            operation: {"id": [run.id], "key": [CALLER + at]}
            for at, (operation, run) in enumerate(zip(OPERATIONS, started, strict=True), start=1)
        }
        for operation in OPERATIONS:
            if operation[0] in OF_KEYS:
                numbered_key(own[operation]["key"][0], Scope.VIEWER)
        known = {
            "name": ["look-up", "anything"],
            "lane": ["bulk"],
            "step": ["enrich"],
            "signal": ["go"],
            "number": [1],
            "clock": [1],
            "type": ["nexus.threat.detected"],
            "position": ["0-0"],
        }
        with serving(cutting_streams) as url:
            for place, body in NAMED.items():
                answer = requests.put(f"{url}/api/v1/{place}", json=body, headers=headers, timeout=60)
                assert answer.status_code in (200, 201), answer.text
            yield url, headers, known, own
        listening.forget()
        call_command("flush", interactive=False, verbosity=0, reset_sequences=False)


@pytest.fixture(scope="module")
def schema():
    return schemathesis.openapi.from_dict(DOCUMENT)


@pytest.mark.parametrize(("name", "mode"), OPERATIONS, ids=[f"{name}-{mode.value}" for name, mode in OPERATIONS])
def test_the_answers_are_what_the_document_says(site, schema, name, mode):
    url, headers, known, own = site
    known = known | {"id": own[name, mode]["id"]}
    if name in OF_KEYS:
        known["number"] = own[name, mode]["key"]
    operation = schema.find_operation_by_id(name)
    places = [parameter.name for parameter in operation.path_parameters]
    cases = operation.as_strategy(mode)
    if places:
        somewhere = st.fixed_dictionaries({place: st.sampled_from(known[place]) for place in places})
        cases = st.one_of(cases, somewhere.flatmap(lambda path: operation.as_strategy(mode, path_parameters=path)))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="ERIP_FUZZ_EXAMPLES" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case):
        if "Prefer" in (case.headers or {}):
            # No worker runs the runs here: a request to wait a minute would really wait that long.
            case.headers["Prefer"] = "wait=0"
        if name == "startRuns" and mode is GenerationMode.POSITIVE:
            case.body["workflow"] = "anything"
        response = case.call(base_url=url, headers=headers)
        assert response.status_code != 401, "The key that the requests are sent with is to be a good one throughout."
        # A wrong body may also be too large to be read, which schemathesis does not expect.
        checks = [check for check in CHECKS if response.status_code != 413 or check is not negative_data_rejection]
        case.validate_response(response, checks=checks, headers=headers)

    run()
