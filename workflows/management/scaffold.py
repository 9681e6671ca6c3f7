"""A package of own steps, to begin with: a step, a definition with a trigger, and a test, which all run.

Without fields the step counts words. With the fields of its input, model, definition, trigger, sample and test are made
for these, and all that is left to write is what the step does.
"""

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40
#: type of Python -> type of JSON Schema, and the value in the sample
TYPES: Mapping[str, tuple[str, object]] = {
    "str": ("string", "text"),
    "int": ("integer", 1),
    "float": ("number", 1.5),
    "bool": ("boolean", True),
}
_FIELD = re.compile(r"([a-z][a-z0-9_]{0,39}):([a-z]+)")
MOST_FIELDS = 30


class Refused(Exception):
    """The package cannot be made: says why."""


def make(name: str, folder: Path, fields: Sequence[str] = ()) -> list[Path]:
    """Write the package `name` as a folder in `folder`, which exists. Returns the files.

    fields: those of the step's input, such as `order:str`. Nothing that is there already is touched. Raises Refused,
    OSError.
    """
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise Refused(
            f"{name!r} is no name for a package: lower-case letters and digits, words joined by -, at most {LONGEST} "
            "characters, like my-steps"
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package) or find_spec(package) is not None:
        raise Refused(f"There is a module {package} already: choose another name")
    texts = {**FILES, **(_for_fields(_read(fields)) if fields else {})}
    root = folder / name
    try:
        root.mkdir()
    except FileExistsError:
        raise Refused(f"{root} is there already") from None
    written = []
    for path, text in texts.items():
        file = root / path.replace("PACKAGE", package).replace("NAME", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("PACKAGE", package).replace("NAME", name), "utf-8")
        written.append(file)
    return written


def _read(fields: Sequence[str]) -> dict[str, str]:
    """name -> type. Raises Refused with every fault."""
    found: dict[str, str] = {}
    faults = [] if len(fields) <= MOST_FIELDS else [f"there are more than {MOST_FIELDS} fields"]
    for field in fields:
        matched = _FIELD.fullmatch(field)
        if matched is None or matched[2] not in TYPES:
            faults.append(f"{field!r} is no field: a name, a colon and one of {', '.join(TYPES)}, like order:str")
        elif keyword.iskeyword(matched[1]) or matched[1].startswith("model_"):
            faults.append(f"a field of a model cannot be called {matched[1]}")
        elif matched[1] in found:
            faults.append(f"{matched[1]} is there twice")
        else:
            found[matched[1]] = matched[2]
    if faults:
        raise Refused("; ".join(faults))
    return found


def _for_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """The files that differ: path -> text."""
    schema = {
        "type": "object",
        "required": list(fields),
        "properties": {name: {"type": TYPES[kind][0]} for name, kind in fields.items()},
        "additionalProperties": False,
    }
    lines = "\n".join(f"    {name}: {kind}" for name, kind in fields.items())
    return {
        "README.md": FILES["README.md"].replace("count_words", "PACKAGE"),
        "PACKAGE/steps.py": _STEPS.replace("FIELDS", lines),
        "PACKAGE/definitions/NAME.yaml": _DEFINITION.replace("SCHEMA", json.dumps(schema))
        .replace("INPUT", _mapping(fields, "input"))
        .replace("DATA", _mapping(fields, "event.data")),
        "samples/NAME.json": json.dumps({name: TYPES[kind][1] for name, kind in fields.items()}, indent=2) + "\n",
        "tests/test_PACKAGE.py": _TESTS,
    }


def _mapping(fields: Mapping[str, str], source: str) -> str:
    return "{" + ", ".join(f'{name}: "${{{{ {source}.{name} }}}}"' for name in fields) + "}"


#: path -> text; NAME and PACKAGE stand for the package's name in both spellings
FILES = {
    "README.md": """\
# NAME

Steps of our own for ERIP. `PACKAGE/steps.py` has the step `PACKAGE.count_words`, and `PACKAGE/definitions/NAME.yaml`
the workflow that uses it, which an event of type `PACKAGE.requested` starts.

From the checkout of ERIP, where this folder is DIR:

```
.venv/bin/python -m pytest DIR      the tests, without a server
make dev APP=DIR                    a platform that takes each change in, and tries it
```

`make dev` starts a run for each file in `samples`, whose name is the workflow's and whose content the input, and runs
the tests: at its start, and after each change.

ERIP's page `docs/how-to/own-steps.md` says how to package and roll it out.
""",
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "NAME"
version = "0.1.0"
description = "Steps of our own for ERIP"
requires-python = ">=3.11"
dependencies = []  # ERIP is there already, and so are Django and pydantic

[tool.setuptools]
packages = ["PACKAGE"]

[tool.setuptools.package-data]
PACKAGE = ["definitions/*.yaml"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
""",
    "PACKAGE/__init__.py": '"""Steps of our own for ERIP."""\n',
    "PACKAGE/steps.py": '''\
"""The steps: ERIP imports this module in each of its processes, so it does nothing else."""

import logging

from pydantic import BaseModel

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
from workflows.registry import StepContext, step

log = logging.getLogger(__name__)


class Text(BaseModel):
    text: str


class Count(BaseModel):
    words: int


@step("PACKAGE.count_words", timeout=10, retry=Retry(max_attempts=3))
def count_words(data: Text, ctx: StepContext) -> Count:
    """Counts the words of a text."""
    if not data.text.strip():
        raise PermanentStepError("there is no text", code="no_text")
    log.info("counting")  # the line carries run_id, step and attempt
    return Count(words=len(data.text.split()))
''',
    "PACKAGE/definitions/NAME.yaml": """\
name: NAME
description: Counts the words of a text.
input: {type: object, required: [text], properties: {text: {type: string}}, additionalProperties: false}
steps:
  count: {uses: PACKAGE.count_words, with: {text: "${{ input.text }}"}}
output: {words: "${{ steps.count.output.words }}"}
on:
  event: PACKAGE.requested
  input: {text: "${{ event.data.text }}"}
""",
    "PACKAGE/hooks.py": '''\
"""What this package adds to the platform: its definitions are published whenever a database is brought up to date."""

from pathlib import Path

from erip.foundation.hooks import at_bootstrap

AUTHOR = "NAME"


@at_bootstrap("definitions of NAME")
def publish_definitions() -> int:
    """A workflow whose latest version is somebody else's is left as it is. Returns how many versions are new."""
    from workflows import engine, queries

    new = 0
    for file in sorted((Path(__file__).parent / "definitions").glob("*.yaml")):
        if queries.latest_author(file.stem) in (None, AUTHOR):
            new += engine.publish(file.stem, file.read_text("utf-8"), "yaml", author=AUTHOR).created
    return new
''',
    "samples/NAME.json": """\
{"text": "one two three"}
""",
    "tests/test_PACKAGE.py": '''\
"""The step and the workflow, without a server."""

from pathlib import Path

import pytest

import PACKAGE
from PACKAGE.steps import count_words
from workflows.errors import PermanentStepError
from workflows.testing import run_step, run_workflow

DEFINITION = Path(PACKAGE.__file__).parent / "definitions" / "NAME.yaml"


def test_words_are_counted() -> None:
    assert run_step(count_words, {"text": "one two three"}).words == 3


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(PermanentStepError):
        run_step(count_words, {"text": " "})


def test_the_workflow_gives_the_count() -> None:
    run = run_workflow(DEFINITION, {"text": "one two"})
    assert run.expect("SUCCEEDED").output == {"words": 2}
''',
}

_STEPS = '''\
"""The step: ERIP imports this module in each of its processes, so it does nothing else."""

import logging

from pydantic import BaseModel

from workflows.core.graph import Retry
from workflows.registry import StepContext, step

log = logging.getLogger(__name__)


class Input(BaseModel):
FIELDS


class Output(BaseModel):
    done: bool


@step("PACKAGE.PACKAGE", timeout=60, retry=Retry(max_attempts=3))
def PACKAGE(data: Input, ctx: StepContext) -> Output:
    """Write here what the step does. A PermanentStepError of workflows.errors fails it for good."""
    log.info("begun")  # the line carries run_id, step and attempt
    return Output(done=True)
'''

_DEFINITION = """\
name: NAME
description: One step of our own.
input: SCHEMA
steps:
  only: {uses: PACKAGE.PACKAGE, with: INPUT}
output: "${{ steps.only.output }}"
on:
  event: PACKAGE.requested
  input: DATA
"""

_TESTS = '''\
"""The step and the workflow on the sample, without a server."""

import json
from pathlib import Path

import PACKAGE
from PACKAGE.steps import PACKAGE as step
from workflows.testing import run_step, run_workflow

PROJECT = Path(PACKAGE.__file__).parents[1]
DEFINITION = PROJECT / "PACKAGE" / "definitions" / "NAME.yaml"
SAMPLE = json.loads((PROJECT / "samples" / "NAME.json").read_text("utf-8"))


def test_the_step_takes_the_sample() -> None:
    assert run_step(step, SAMPLE)


def test_the_workflow_takes_the_sample() -> None:
    run_workflow(DEFINITION, SAMPLE).expect("SUCCEEDED")
'''
