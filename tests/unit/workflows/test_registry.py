"""A mistake in `@step` is said when the module is imported: one line, with the place."""

import re
import sys
import textwrap
import types
from collections.abc import Iterator

import pytest

from workflows import registry
from workflows.errors import StepRefused, UnknownStep

HEADER = """\
from __future__ import annotations
from typing import Any, Optional
from pydantic import BaseModel, ConfigDict, RootModel
from workflows.core.graph import Retry
from workflows.registry import StepContext, step
class In(BaseModel):
    text: str
class Out(BaseModel):
    words: int
class Texts(RootModel[list[str]]): pass
class Odd: pass
class OddIn(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    odd: Odd
"""
LINES = HEADER.count("\n")
BODY = "def f(data: In) -> Out: ..."

#: what is written, and what the line must say
MISUSES: dict[str, tuple[str, str]] = {
    "bare": (f"@step\n{BODY}", '@step stands alone: write @step("acme.look_up")'),
    "bare, on a class": ("@step\nclass F: ...", "@step stands alone"),
    "no name": (f"@step()\n{BODY}", "the name '' is not made of"),
    "a name that is no text": (f"@step(7)\n{BODY}", "the name is a text, not 7 (int)"),
    "a name with a space": (f'@step("count words")\n{BODY}', "is not made of letters"),
    "a name with a line break": (f'@step("acme.count\\n")\n{BODY}', "is not made of letters"),
    "a name that ends in a dot": (f'@step("acme.")\n{BODY}', "is not made of letters"),
    "a long name": (f'@step("a" * 201)\n{BODY}', "has 201 characters; at most 200"),
    "retry as a number": (f'@step("a.b", retry=3)\n{BODY}', "not 3 (int): write Retry(max_attempts=3)"),
    "retry as an object": (f'@step("a.b", retry={{"max_attempts": 3}})\n{BODY}', "retry is a Retry"),
    "retry as yes": (f'@step("a.b", retry=True)\n{BODY}', "retry is a Retry (workflows.core.graph), not True (bool)"),
    "retry as its class": (f'@step("a.b", retry=Retry)\n{BODY}', "retry is a Retry"),
    "no attempt": (f'@step("a.b", retry=Retry(max_attempts=0))\n{BODY}', "retry.max_attempts is a whole number"),
    "attempts as text": (f'@step("a.b", retry=Retry(max_attempts="3"))\n{BODY}', "not '3' (str)"),
    "backoff as text": (f'@step("a.b", retry=Retry(backoff="2s"))\n{BODY}', "retry.backoff is a number of at least 0"),
    "a factor below 1": (f'@step("a.b", retry=Retry(factor=0.5))\n{BODY}', "retry.factor is a number of at least 1"),
    "an endless delay": (f'@step("a.b", retry=Retry(max_delay=float("inf")))\n{BODY}', "retry.max_delay"),
    "timeout as text": (f'@step("a.b", timeout="10s")\n{BODY}', "timeout is a number of seconds above 0, not '10s'"),
    "no timeout": (f'@step("a.b", timeout=None)\n{BODY}', "timeout is a number of seconds above 0, not None"),
    "timeout 0": (f'@step("a.b", timeout=0)\n{BODY}', "timeout is a number of seconds above 0"),
    "timeout as yes": (f'@step("a.b", timeout=True)\n{BODY}', "timeout is a number of seconds above 0"),
    "timeout that is no number": (f'@step("a.b", timeout=float("nan"))\n{BODY}', "above 0, not nan (float)"),
    "idempotent as text": (f'@step("a.b", idempotent="no")\n{BODY}', "idempotent is True or False, not 'no' (str)"),
    "transactional as a number": (f'@step("a.b", transactional=1)\n{BODY}', "transactional is True or False"),
    "a summary that is no text": (f'@step("a.b", summary=["x"])\n{BODY}', "summary is a text"),
    "an unknown argument": (f'@step("a.b", retries=3)\n{BODY}', 'no argument retries (did you mean "retry"?)'),
    "no parameter": ('@step("a.b")\ndef f() -> Out: ...', "it takes no input"),
    "an input without annotation": ('@step("a.b")\ndef f(data) -> Out: ...', "annotate the first parameter (data)"),
    "an input that is a dict": ('@step("a.b")\ndef f(data: dict[str, Any]) -> Out: ...', "not dict[str, Any]"),
    "an input that may be missing": ('@step("a.b")\ndef f(data: Optional[In]) -> Out: ...', "annotate the first"),
    "an input that is a list": ('@step("a.b")\ndef f(data: Texts) -> Out: ...', "Texts cannot be a RootModel"),
    "BaseModel itself": ('@step("a.b")\ndef f(data: BaseModel) -> Out: ...', "not BaseModel"),
    "no result": ('@step("a.b")\ndef f(data: In): ...', "annotate the result with a pydantic model (it has no annot"),
    "a result of None": (
        '@step("a.b")\ndef f(data: In) -> None: ...',
        "annotate the result with a pydantic model (not N",
    ),
    "a result that is a text": ('@step("a.b")\ndef f(data: In) -> str: ...', "(not str)"),
    "an unknown annotation": ('@step("a.b")\ndef f(data: Inn) -> Out: ...', "name 'Inn' is not defined; import it"),
    "the parameters in the wrong order": (
        '@step("a.b")\ndef f(ctx: StepContext, data: In) -> Out: ...',
        "annotate the first parameter (ctx)",
    ),
    "a second input": ('@step("a.b")\ndef f(data: In, more: In) -> Out: ...', "(more) gets a StepContext"),
    "a third parameter": ('@step("a.b")\ndef f(data: In, ctx: StepContext, db) -> Out: ...', "nothing is given for db"),
    "keywords only": ('@step("a.b")\ndef f(*, data: In) -> Out: ...', "write them without * and **"),
    "any keywords": ('@step("a.b")\ndef f(data: In, **more) -> Out: ...', "write them without * and **"),
    "a method": ('class C:\n    @step("a.b")\n    def f(self, data: In) -> Out: ...', "not a method of a class"),
    "a static method": (
        'class C:\n    @step("a.b")\n    @staticmethod\n    def f(data: In) -> Out: ...',
        "a plain function, not a staticmethod",
    ),
    "a class": ('@step("a.b")\nclass F: ...', "a plain function, not a class"),
    "an object that can be called": ('step("a.b")(print)', "a function that is written with def"),
    "a generator": ('@step("a.b")\ndef f(data: In) -> Out:\n    yield', "yield cannot be used"),
    "an async generator": ('@step("a.b")\nasync def f(data: In) -> Out:\n    yield', "yield cannot be used"),
    "async and transactional": (
        '@step("a.b", transactional=True)\nasync def f(data: In) -> Out: ...',
        "write def, not async def",
    ),
    "a model without a schema": ('@step("a.b")\ndef f(data: OddIn) -> Out: ...', "OddIn has no JSON Schema"),
    "a name that is taken": (
        f'@step("a.b")\n{BODY}\n@step("a.b")\ndef g(data: In) -> Out: ...',
        f"the name is taken by acme/steps.py:{LINES + 1}",
    ),
    "a name that is taken by a function of the same name": (
        f'@step("a.b")\n{BODY}\n@step("a.b")\n{BODY}',
        f"the name is taken by acme/steps.py:{LINES + 1}",
    ),
}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    before = registry.all()
    yield
    for name in registry.all().keys() - before.keys():
        registry.withdraw(name)


def load(code: str) -> None:
    module = sys.modules["acme.steps"] = types.ModuleType("acme.steps")  # where pydantic looks for its names
    try:
        exec(compile(HEADER + textwrap.dedent(code), "acme/steps.py", "exec"), module.__dict__)
    finally:
        del sys.modules["acme.steps"]


@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misuse_is_one_line_that_names_the_place(misuse: str) -> None:
    code, said = MISUSES[misuse]
    with pytest.raises(StepRefused) as refused:
        load(code)
    line = str(refused.value)
    assert said in line
    assert "\n" not in line
    found = re.match(r"acme/steps\.py:(\d+): step", line)
    assert found, line
    assert LINES < int(found[1]) <= LINES + code.count("\n") + 1


def test_every_fault_is_said_at_once() -> None:
    with pytest.raises(StepRefused) as refused:
        load('@step("a b", retry=3, timeout="x", retries=1)\ndef f(data) -> str: ...')
    assert len(refused.value.faults) == 6


def test_what_is_refused_is_not_registered() -> None:
    with pytest.raises(StepRefused):
        load(f'@step("acme.not_there", retry=3)\n{BODY}')
    with pytest.raises(UnknownStep):
        registry.get("acme.not_there")


@pytest.mark.parametrize(
    "code",
    [
        f'@step("acme.fine")\n{BODY}',
        f'@step("fine", timeout=1, retry=Retry(max_attempts=1, backoff=0, max_delay=0), summary="Fine.")\n{BODY}',
        '@step("acme.fine")\ndef f(data: In, ctx: StepContext, more: int = 3) -> Texts: ...',
        '@step("acme.fine")\nasync def f(data: In, ctx) -> Out: ...',
        f'@step("acme.fine")\n@step("acme.fine-too")\n{BODY}',
        'def make():\n    @step("acme.fine")\n    def f(data: In) -> Out: ...\nmake()\nmake()',
    ],
)
def test_what_is_right_is_taken(code: str) -> None:
    load(code)
    load(code)  # a module that is imported once more
    assert len(registry.all()) > 0
