"""Steps for the tests of the engine."""

import asyncio
import base64
import hashlib
import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import structlog
from pydantic import BaseModel, ConfigDict, Field

from tests.sample.models import Effect
from workflows.core.graph import Retry
from workflows.errors import PermanentStepError, StepError
from workflows.registry import StepContext, step


class Value(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: Any = None


class Seconds(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seconds: float = 0.0


class Times(BaseModel):
    model_config = ConfigDict(extra="forbid")
    times: int = 0
    permanent: bool = False


class Seen(BaseModel):
    value: Any = None
    key: str = ""
    attempt: int = 0


@step("sample.echo")
def echo(data: Value, ctx: StepContext) -> Seen:
    return Seen(value=data.value, key=ctx.idempotency_key, attempt=ctx.attempt)


@step("sample.work", timeout=60)
def work(data: Times, ctx: StepContext) -> Seen:
    """Hashes `times` times: work that takes a while and can be checked."""
    digest = ctx.idempotency_key.encode()
    for _ in range(data.times):
        digest = hashlib.sha256(digest).digest()
    return Seen(value=digest.hex(), key=ctx.idempotency_key, attempt=ctx.attempt)


@step("sample.flaky", retry=Retry(max_attempts=3, backoff=0.05, max_delay=0.1))
def flaky(data: Times, ctx: StepContext) -> Seen:
    """Fails `times` times, then succeeds."""
    if ctx.attempt <= data.times:
        if data.permanent:
            raise PermanentStepError("it will never work", code="hopeless")
        raise StepError(f"attempt {ctx.attempt} fails", code="flaky")
    return Seen(attempt=ctx.attempt)


#: what `sample.call` calls, each once: for what has to happen while a body runs
CALLS: list[Callable[[], object]] = []


@step("sample.call")
def call(data: Value) -> Seen:
    """Calls the next of CALLS."""
    if CALLS:
        CALLS.pop(0)()
    return Seen()


@step("sample.rest")
async def rest(data: Seconds) -> Seen:
    """Waits without a thread, as a call to a remote service does."""
    await asyncio.sleep(data.seconds)
    return Seen()


@step("sample.block", timeout=1)
def block(data: Seconds) -> Seen:
    """Blocks its thread."""
    threading.Event().wait(data.seconds)
    return Seen()


@step("sample.block_once", idempotent=False, timeout=30)
def block_once(data: Seconds, ctx: StepContext) -> Seen:
    """Has an effect that must not be repeated blindly, and then takes a while."""
    Effect.objects.create(key=ctx.idempotency_key)
    threading.Event().wait(data.seconds)
    return Seen(attempt=ctx.attempt)


@step("sample.book", transactional=True, timeout=30)
def book(data: Seconds, ctx: StepContext) -> Seen:
    """Writes a row in the checkpoint's own transaction."""
    Effect.objects.create(key=ctx.idempotency_key)
    threading.Event().wait(data.seconds)
    return Seen(attempt=ctx.attempt)


@step("sample.nul")
def nul(data: Value) -> Seen:
    """Returns what PostgreSQL refuses to store."""
    return Seen(value="\0")


@step("sample.boom", retry=Retry(max_attempts=1))
def boom(data: Value) -> Seen:
    raise RuntimeError("boom")


@step("sample.grumble", retry=Retry(max_attempts=1))
def grumble(data: Value) -> Seen:
    """Logs what it is about, and fails."""
    structlog.get_logger("sample").warning("about to fail", value=data.value)
    raise RuntimeError("the service is away")


@step("sample.grumble_at", retry=Retry(max_attempts=1))
def grumble_at(data: Value) -> Seen:
    """Fails at each seventh value."""
    if data.value % 7 == 0:
        raise RuntimeError(f"item {data.value} is odd")
    return Seen(value=data.value)


_log = structlog.get_logger("sample.leaks")


class Leaking(BaseModel):
    model_config = ConfigDict(extra="forbid")
    token: str
    other: str = ""
    fail: bool = False


class Leaked(BaseModel):
    length: int
    digest: str
    texts: list[str]


def leaks(data: Leaking, ctx: StepContext) -> Leaked:
    """Puts what it was given wherever it can, in several forms."""
    token = data.token
    texts = [token, f"user:{token}", base64.b64encode(f"user:{token}".encode()).decode(), quote(token, safe="")]
    for text in texts:
        _log.warning("leaked", text=text)
    logging.getLogger("sample.leaks").warning("leaked to %s", token)
    ctx.heartbeat(progress={"token": token}, cursor=[texts])
    if data.fail:
        raise StepError(f"refused: {texts} {'x' * 1990}{token}", code=f"refused-{token}")
    return Leaked(length=len(token), digest=hashlib.sha256(token.encode()).hexdigest(), texts=[*texts, data.other])


@step("sample.leak", retry=Retry(max_attempts=1))
def leak(data: Leaking, ctx: StepContext) -> Leaked:
    return leaks(data, ctx)


@step("sample.leak_async", retry=Retry(max_attempts=1))
async def leak_async(data: Leaking, ctx: StepContext) -> Leaked:
    await asyncio.sleep(0)
    return leaks(data, ctx)


@step("sample.leak_booked", transactional=True, retry=Retry(max_attempts=1))
def leak_booked(data: Leaking, ctx: StepContext) -> Leaked:
    return leaks(data, ctx)


class Greeted(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    undeclared: bool = False
    fail: bool = False


class Greeting(BaseModel):
    greeting: str = Field(json_schema_extra={"sensitive": True})
    length: int
    other: str = ""


@step("sample.greet", retry=Retry(max_attempts=1))
def greet(data: Greeted) -> Greeting:
    """Handles sensitive data as it should, unless it is told not to."""
    _log.warning("greeting", name=data.name)
    if data.fail:
        raise StepError(f"nobody is called {data.name}")
    return Greeting(greeting=f"Hello {data.name}", length=len(data.name), other=data.name if data.undeclared else "")
