"""A package of own steps, to begin with: a step, a definition with a trigger, and a test, which all run."""

import keyword
import re
from importlib.util import find_spec
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40


class Refused(Exception):
    """The package cannot be made: says why."""


def make(name: str, folder: Path) -> list[Path]:
    """Write the package `name` as a folder in `folder`, which exists. Returns the files.

    Nothing that is there already is touched. Raises Refused, OSError.
    """
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise Refused(
            f"{name!r} is no name for a package: lower-case letters and digits, words joined by -, at most {LONGEST} "
            "characters, like my-steps"
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package) or find_spec(package) is not None:
        raise Refused(f"There is a module {package} already: choose another name")
    root = folder / name
    try:
        root.mkdir()
    except FileExistsError:
        raise Refused(f"{root} is there already") from None
    written = []
    for path, text in FILES.items():
        file = root / path.replace("PACKAGE", package).replace("NAME", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("PACKAGE", package).replace("NAME", name), "utf-8")
        written.append(file)
    return written


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
