"""A definition that code of an earlier commit cannot read needs a level that it does not say. Note [Format levels]."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT
from workflows import registry
from workflows.core import definition

#: commits at which the level that a process says rose: decisions, and no approvals yet; clocks, and neither secrets nor
#: chunks yet
OLDER = ("85a5d666", "5b0c6b28")
#: beside the shipped ones: one for each thing that needs a level, and is used by few
OTHERS = {
    "guarded": """
name: guarded
steps:
  ask: {approval: {title: t, quorum: [{role: ciso}]}}
  act: {needs: [ask], uses: sample.echo, guarded_by: ask, with: {value: 1}}
""",
    "secret": """
name: secret
steps:
  call: {uses: sample.echo, with: {value: "${{ secrets.token }}"}}
""",
}
#: says the level of the older code, and what it finds wrong with each definition
READ = """
import json, sys
import django
django.setup()
from workflows import registry
from workflows.core import definition, kinds
found = {}
for name, text in json.load(sys.stdin).items():
    try:
        definition.validate(definition.parse(text, "yaml"), registry.all())
        found[name] = []
    except definition.DefinitionInvalid as error:
        found[name] = [[fault.path, fault.message] for fault in error.faults]
print(json.dumps([kinds.level(), found]))
"""


def _of_a_step(path: str, message: str) -> bool:
    """Whether a fault is about a registered step, or its input: what workers know of these has no level (they say which
    steps they lack)."""
    return message.startswith("no step named") or ".with." in path


@pytest.fixture(params=OLDER)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    git = shutil.which("git")
    packed = git and subprocess.run([git, "archive", request.param], cwd=ROOT, capture_output=True)
    if not packed or packed.returncode:
        pytest.skip(f"the commit {request.param} is not here: a shallow clone, or no clone at all")
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=packed.stdout, check=True)
    return tmp_path


def test_what_older_code_cannot_read_is_not_published_beside_it(older: Path) -> None:
    shipped = sorted((ROOT / "workflows/library/definitions").glob("*.yaml"))
    texts = {one.stem: one.read_text("utf-8") for one in shipped} | OTHERS
    graphs = {name: definition.validate(definition.parse(text, "yaml"), registry.all()) for name, text in texts.items()}
    env = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "erip.settings.test",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "PYTHONPATH": str(older),
    }

    read = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ],
        input=json.dumps(texts), cwd=older, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr[-2000:]
    level, found = json.loads(read.stdout.splitlines()[-1])

    cannot = {name for name, faults in found.items() if not all(_of_a_step(*each) for each in faults)}
    assert {name for name in cannot if graphs[name].level <= level} == set(), (level, found)
    assert found.keys() == texts.keys()
    assert cannot or level > 6, "it reads what it cannot know"
