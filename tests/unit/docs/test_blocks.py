"""Each block of the documentation is true: a test runs it, or it is checked here as what it says it is."""

import ast
import configparser
import json
import re
import subprocess
from importlib.util import find_spec
from typing import Any

import pytest

from erip.ops.stack.state import ROOT
from monitoring.applying import read_file
from monitoring.core.oncall import BadPlan, read_plan
from monitoring.core.rules import BadRules
from tests.unit.docs import shell
from tests.unit.docs.blocks import Block, blocks, blocks_of, pages
from workflows import registry
from workflows.core.definition import DefinitionInvalid, parse, validate
from workflows.core.rules import compile_rules
from workflows.core.schema import Schema

#: what a page's `sh` blocks are run by, from the first to the last
RUN_BY = {
    "docs/how-to/command-line.md": "tests/e2e/test_client_docs.py",
    "docs/reference/api.md": "tests/e2e/test_api_docs.py",
    "docs/reference/events.md": "tests/e2e/test_api_docs.py",
    "docs/tutorial/1-first-run.md": "tests/e2e/test_tutorial.py",
    "docs/tutorial/2-first-definition.md": "tests/e2e/test_tutorial.py",
    "docs/tutorial/3-first-step.md": "tests/e2e/test_tutorial.py",
    "docs/tutorial/4-first-event.md": "tests/e2e/test_tutorial.py",
}
ALL = blocks()


@pytest.fixture(scope="module")
def shipped() -> Any:
    """The steps that a user has: those of the library, not those of these tests."""
    return {
        name: step
        for name, step in registry.all().items()
        if step.body.__module__.startswith(("workflows.library", "workflows.clocks"))
    }


@pytest.mark.parametrize("block", ALL, ids=str)
def test_the_block_is_true(block: Block, shipped: Any) -> None:
    if block.comment.startswith(("example:", "not run:")):
        check_comment(block)
    if block.reason:
        return
    if block.schema:
        problem = shell.schema_fault({"$ref": f"#/components/schemas/{block.schema}"}, json.loads(block.text))
        assert problem is None, f"{block}: {problem}"
        return
    check = CHECKS.get(block.language)
    if check is None:
        assert block.test, f"{block}: nothing shows that this is true. Name the test that does, or why there is none"
        return
    problem = check(block, shipped)
    assert problem is None, f"{block}: {problem}"


def check_comment(block: Block) -> None:
    if block.test:
        assert block.test.is_file(), f"{block}: there is no {block.test}"
        name = block.page.rpartition("/")[2]
        assert name in block.test.read_text(), f"{block}: {block.test.name} does not read {name}"
    else:
        assert len(block.reason.split()) >= 4, f"{block}: say why it is not run"


def test_the_tests_that_run_whole_pages_read_them() -> None:
    for page, test in RUN_BY.items():
        assert page.rpartition("/")[2] in (ROOT / test).read_text()


# --- by language


def a_shell(block: Block, shipped: Any) -> str | None:
    problems = [problem for words in shell.commands(block.text) if (problem := shell.fault(words))]
    return "; ".join(problems) or None


def a_console(block: Block, shipped: Any) -> str | None:
    """Commands after `$ `, and between them what they print."""
    asked = "\n".join(line for line in block.text.splitlines() if line.startswith("$ "))
    return a_shell(Block(block.page, block.line, "sh", asked + "\n", ""), shipped)


def a_yaml(block: Block, shipped: Any) -> str | None:
    document = parse(block.text, "yaml")
    if "rules" in document:
        try:
            read_file(document)
        except BadRules as error:
            return str(error)
        return None
    if "ladders" in document:
        try:
            read_plan(document)
        except BadPlan as error:
            return str(error)
        return None
    if document.keys() == {"on"}:
        return "; ".join(map(str, compile_rules(document["on"], "any", Schema.compile({}))[1])) or None
    try:
        validate(document, {**shipped, **steps_of(block.page)})
    except DefinitionInvalid as error:
        return str([str(fault) for fault in error.faults])
    return None


def a_json(block: Block, shipped: Any) -> str | None:
    try:
        json.loads(block.text)
    except ValueError as error:
        return str(error)
    return None if block.test else "name the test that compares it with what the platform says"


def a_request(block: Block, shipped: Any) -> str | None:
    head, _, body = block.text.partition("\n")
    method, _, path = head.partition(" ")
    return shell.request_fault(method, path.partition("?")[0], body or None)


def a_python(block: Block, shipped: Any) -> str | None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found = __import__(node.module, fromlist=["_"]) if find_spec(node.module) else None
            missing = [one.name for one in node.names if not hasattr(found, one.name)]
            if missing:
                return f"{node.module} has no {', '.join(missing)}"
    return None


def a_unit_file(block: Block, shipped: Any) -> str | None:
    """systemd's: what it starts is a module of ours with that name, or a program of the machine."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    if "  [Service]" not in block.text:
        parser.read_string(block.text)
    names = re.findall(r"python -m (\S+)", block.text)
    missing = [name for name in names if find_spec(name) is None]
    return f"no module {missing}" if missing else None


def a_statement(block: Block, shipped: Any) -> str | None:
    return None if block.test else "name the test that has PostgreSQL execute it"


CHECKS = {
    "sh": a_shell,
    "shell": a_shell,
    "dev": a_shell,
    "console": a_console,
    "yaml": a_yaml,
    "json": a_json,
    "http": a_request,
    "python": a_python,
    "ini": a_unit_file,
    "sql": a_statement,
}


def steps_of(page: str) -> dict[str, Any]:
    """The steps that the page's own Python declares: executed here, and forgotten again."""
    before = set(registry.all())
    for block in blocks_of(ROOT / page):
        if "@step(" in block.text and "def test_" not in block.text:
            source = re.search(r"<<'PY'\n(.*?)^PY$", block.text, re.DOTALL | re.MULTILINE)
            exec(compile(source[1] if source else block.text, page, "exec"), {"__name__": "docs_example"})
    made = {name: step for name, step in registry.all().items() if name not in before}
    for name in made:
        registry.withdraw(name)
    return made


# --- the checks themselves


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("sh", "make no-such-target\n", "no target no-such-target"),
        ("sh", "make up NO_SUCH=1\n", "no variable NO_SUCH"),
        ("sh", ".venv/bin/python manage.py archive_runs --olden 9d\n", "olden"),
        ("sh", "manage.py no_such_command\n", "no command no_such_command"),
        ("sh", "python -m erip.no_such_module\n", "is no program"),
        ("sh", "python -m erip.ops.deploy x.toml --no-such-option\n", "no option --no-such-option"),
        ("sh", 'curl -X PATCH "$ERIP/api/v1/workflows"\n', "has no PATCH"),
        ("sh", 'X=1 curl \\\n  "$ERIP/api/v1/no-such"\n', "no address"),
        ("sh", "curl -d '{\"inptu\": {}}' $ERIP/api/v1/workflows/x/runs\n", "'input' is a required property"),
        ("sh", "no-such-program\n", "unknown program"),
        ("sh", "erip strat triage\n", "no command strat"),
        ("sh", "erip events tial\n", "no command tial"),
        ("sh", "RUN=$(erip start triage --sett a=1)\n", "--sett"),
        ("sh", "erip list --limit many\n", "'--limit'"),
        ("console", "$ manage.py no_such_command\nNothing.\n", "no command"),
        ("yaml", "name: x\nsteps: {a: {uses: sample.echo, with: {value: 1}}}\n", 'no step named "sample.echo"'),
        ("yaml", "name: x\nsteps: {a: {uses: notify.send, with: {txt: a}}}\n", "txt"),
        ("yaml", "on: [{event: 7}]\n", "event"),
        ("http", 'PUT /api/v1/triggers/x\n{"workflow": 7}\n', "'rule' is a required property"),
        ("python", "from workflows.registry import no_such_name\n", "no_such_name"),
        ("json", "{}", "name the test"),
        ("ini", "[Service]\nExecStart=/opt/python -m erip.no_such\n", "no module"),
    ],
)
def test_what_is_not_true_is_found(language: str, text: str, said: str, shipped: Any) -> None:
    problem = CHECKS[language](Block("docs/reference/steps.md", 1, language, text, ""), shipped)
    assert problem is not None
    assert said in problem


def test_all_pages_are_read() -> None:
    names = {str(path.relative_to(ROOT)) for path in pages()}
    assert {"README.md", "docs/tutorial/3-first-step.md", "docs/reference/api.md"} <= names
    assert len(ALL) > 70
    # Nothing that looks like a block is missed.
    assert len(ALL) == sum(len(re.findall(r"^ *```\w+|^ *```$", path.read_text(), re.M)) for path in pages()) // 2


def test_make_help_lists_every_target_that_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    described = re.findall(r"^([a-z-]+):[^#\n]*## ", makefile, re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "ha-deps" in described
    assert [name for name in described if f"  make {name} " not in shown] == []
