"""What a body does with a secret never shows in what its attempt leaves behind."""

import asyncio
import base64
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import structlog
from pydantic import BaseModel, field_validator

from erip.foundation import redacting
from erip.foundation.logs import Formatter, without_secrets, working_on
from workflows.core import secrets, sensitive
from workflows.core.graph import Retry, Work
from workflows.core.machine import NO_ITEM, StepFailed, StepSucceeded
from workflows.core.secrets import Filling, Named
from workflows.errors import StepError
from workflows.registry import StepSpec
from workflows.store import Claim
from workflows.worker import bodies, protecting, traces
from workflows.worker.beats import Beat

TOKEN = 'to"ken/+é-9x7'
log = structlog.get_logger("acme.secrets")


class Given(BaseModel):
    token: str

    @field_validator("token")
    @classmethod
    def known(cls, value: str) -> str:
        if value.startswith("bad"):
            raise ValueError(f"{value} is not a token")
        return value


class Said(BaseModel):
    said: Any


@pytest.fixture(autouse=True)
def _listening() -> None:
    traces.listen()
    logging.getLogger("acme.secrets").setLevel(logging.INFO)


WORK = Work("acme.x", None, 5.0, Retry(), True, False, secrets=(Filling(("token",), (Named("t"),)),))


def claim() -> Claim:
    return Claim("r", "x", NO_ITEM, 1, {"token": "${{ secrets.t }}"}, 1, "w", None, "high", None, datetime.now(UTC))


def ran(body: Any, *, value: str = TOKEN, beat: Beat | None = None) -> Any:
    is_async = asyncio.iscoroutinefunction(body)
    spec = StepSpec("acme.x", body, Given, Said, 5.0, None, True, False, is_async, False, "")
    with secrets.given({"t": value}):
        if is_async:
            return asyncio.run(bodies.run_async(claim(), spec, WORK, None, beat))
        return bodies.run_sync(claim(), spec, WORK, None, beat)


def shown(happening: Any) -> str:
    """Everything of it that is kept."""
    kept = getattr(happening, "output", None), getattr(happening, "error", None), getattr(happening, "trace", None)
    return orjson.dumps(kept).decode()


def assert_clean(text: str) -> None:
    assert TOKEN not in text
    assert orjson.dumps(TOKEN).decode()[1:-1] not in text
    assert base64.b64encode(TOKEN.encode()).decode()[:-2] not in text


def test_an_output_has_marks_in_place_of_it() -> None:
    def body(data: Given) -> Said:
        assert data.token == TOKEN
        encoded = base64.b64encode(f"u:{data.token}".encode()).decode()
        return Said(said={"a": [data.token, f"x{data.token}y", encoded], data.token: 1})

    happening = ran(body)

    assert isinstance(happening, StepSucceeded)
    assert_clean(shown(happening))
    assert happening.output["said"]["a"][:2] == ["***", "x***y"]


def test_so_has_that_of_an_async_body() -> None:
    async def body(data: Given) -> Said:
        assert data.token == TOKEN
        return Said(said=data.token)

    assert ran(body).output == {"said": "***"}


@pytest.mark.parametrize("length", [0, 280, 1990, 7_990])
def test_an_error_has_marks_wherever_it_is_cut(length: int) -> None:
    """Half of a secret would not be found: it is struck out before what is too long is cut off."""

    def body(data: Given) -> Said:
        log.warning("sent", text="x" * length + data.token)
        try:
            raise ValueError("x" * length + data.token)
        except ValueError as error:
            raise StepError("x" * length + data.token, code=data.token) from error

    happening = ran(body)

    assert isinstance(happening, StepFailed)
    assert_clean(shown(happening))
    for part in (TOKEN[:5], TOKEN[3:]):
        assert part not in shown(happening)
    assert happening.error["code"] == "***"


def test_an_input_that_does_not_fit_is_not_quoted() -> None:
    happening = ran(lambda data: Said(said=1), value="bad-secret-value")

    assert happening.error["code"] == "invalid_input"
    assert "bad-secret-value" not in shown(happening)


def test_what_it_says_meanwhile_has_marks() -> None:
    beat = Beat(claim(), 5.0, None)

    def body(data: Given) -> Said:
        beat.say({"at": data.token}, [data.token, 1])
        return Said(said=1)

    ran(body, beat=beat)
    word = beat.take()

    assert word is not None
    assert (word.progress, word.cursor) == ('{"at":"***"}', '["***",1]')


def test_a_secret_that_is_not_there_fails_the_attempt_before_its_body() -> None:
    def body(data: Given) -> Said:
        raise AssertionError("it ran")

    spec = StepSpec("acme.x", body, Given, Said, 5.0, None, True, False, False, False, "")
    with secrets.given({}):
        happening = bodies.run_sync(claim(), spec, WORK)

    assert isinstance(happening, StepFailed)
    assert "it ran" not in shown(happening)


def test_the_claim_that_is_reported_on_never_holds_it() -> None:
    own = claim()
    spec = StepSpec("acme.x", lambda data: Said(said=data.token), Given, Said, 5.0, None, True, False, False, False, "")
    with secrets.given({"t": TOKEN}):
        bodies.run_sync(own, spec, WORK)

    assert own.input == {"token": "${{ secrets.t }}"}


def test_sensitive_data_pushes_no_secret_out_of_what_a_process_strikes(monkeypatch) -> None:
    claimed = claim()
    people = [f"somebody-{number}@example.org" for number in range(2 * redacting.REMEMBERED)]
    monkeypatch.setattr(sensitive, "open_for_body", lambda input, opens, workflow: (input, people))
    lines = traces.Lines(claimed)
    work = replace(WORK, opens=(("token",),))
    with secrets.given({"t": TOKEN}):
        protecting.unlocked(claimed, work, lines, None)

    assert redacting.strike(f"{TOKEN} {people[0]}") == f"*** {people[0]}"
    before = working_on.set(lines)
    try:
        assert without_secrets(None, "info", f"{TOKEN} {people[0]} {people[-1]}") == "*** *** ***"
        record = logging.LogRecord("x", logging.INFO, "f", 1, "sent %s", (people[0],), None)
        assert Formatter("%(message)s").format(record) == "sent ***"
    finally:
        working_on.reset(before)
    assert without_secrets(None, "info", people[0]) == people[0]  # another's line
