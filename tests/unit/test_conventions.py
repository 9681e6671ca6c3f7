"""What CONTRIBUTING.md says of the tests themselves, and of operations."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings

from erip.access import catalog
from erip.access.actions import operations
from erip.access.catalog import permissions_of
from erip.access.scopes import Scope
from erip.ops.stack.state import ROOT

TESTS = ROOT / "tests"
#: one step back in time that has no public name: a process that has not looked at the log yet
EXCEPTIONS = {("tests/integration/test_streams.py", "here._positions")}


def python_files() -> list[Path]:
    return sorted(TESTS.rglob("*.py"))


def is_private(name: object) -> bool:
    last = name.rpartition(".")[2] if isinstance(name, str) else ""
    return last.startswith("_") and not last.startswith("__")


def replaced(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) of each private name of another object or module that is assigned to, deleted or patched."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            place = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(place, ast.Attribute) and is_private(place.attr) and ast.unparse(place.value) != "self":
                yield node.lineno, ast.unparse(place)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in PATCHES:
            for argument in node.args[:2]:
                name = argument.value if isinstance(argument, ast.Constant) else getattr(argument, "attr", "")
                if is_private(name):
                    yield node.lineno, str(name)


PATCHES = {"setattr", "delattr", "setitem", "delitem", "patch", "object"}


def test_no_test_replaces_private_state() -> None:
    found = {
        (str(file.relative_to(ROOT)), what): line
        for file in python_files()
        for line, what in replaced(ast.parse(file.read_text()))
    }
    assert {f"{file}:{line}: {what}" for (file, what), line in found.items() if (file, what) not in EXCEPTIONS} == set()
    assert found.keys() >= EXCEPTIONS, "an exception that is none any more"


@pytest.mark.parametrize(
    "code",
    [
        "module._cache = {}",
        "module._cache['key'] = 1",
        "module.thing._count += 1",
        "del module._cache['key']",
        "monkeypatch.setattr(module, '_clock', 1)",
        "monkeypatch.setattr('package.module._clock', 1)",
        "monkeypatch.delitem(module._steps, 'name')",
        "setattr(module, '_clock', 1)",
    ],
)
def test_each_way_to_replace_private_state_is_seen(code: str) -> None:
    assert len(list(replaced(ast.parse(code)))) == 1


#: seconds that a test waits at least for a fact: the machine may be doing three other things
PATIENCE = 30
#: a fact that has to come early, because something else comes later: (file, the words of the wait)
EARLY = {
    ("tests/integration/test_router.py", "the near one serves, the late one not yet"),
    ("tests/crash/test_draining.py", "the rest is given back"),
    ("tests/crash/test_postgres_failover.py", "wait_until(lambda: not psutil.pid_exists(postmaster), 7)"),
}


def impatient(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what for) of each wait for a fact that ends before PATIENCE."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("until", "wait_until"):
            named = {one.arg: one.value for one in node.keywords}
            seconds = named.get("seconds", node.args[1] if len(node.args) > 1 else None)
            if isinstance(seconds, ast.Constant) and float(str(seconds.value)) < PATIENCE:
                yield node.lineno, ast.literal_eval(named["what"]) if "what" in named else ast.unparse(node)


def test_no_test_waits_for_a_fact_so_short_that_a_busy_machine_fails_it() -> None:
    found = {
        (str(file.relative_to(ROOT)), what): line
        for file in python_files()
        for line, what in impatient(ast.parse(file.read_text()))
    }
    assert {f"{file}:{line}: {what}" for (file, what), line in found.items() if (file, what) not in EARLY} == set()
    assert found.keys() >= EARLY, "an exception that is none any more"


def test_unit_tests_stand_where_their_package_stands() -> None:
    folders = {file.parent.relative_to(TESTS / "unit") for file in (TESTS / "unit").rglob("test_*.py")}
    assert [str(folder) for folder in folders if not (ROOT / folder).is_dir()] == []
    # What stands at the top is about the tests themselves.
    about_all = {
        "test_conventions.py",
        "test_no_secrets.py",
        "test_second_try.py",
        "test_sql_ownership.py",
        "test_what_is_skipped.py",
    }
    assert {file.name for file in (TESTS / "unit").glob("test_*.py")} == about_all


def test_every_operation_needs_permissions_that_are_declared_and_its_scope_is_the_smallest_that_has_them() -> None:
    """A new permission is declared in the `permissions` of its app, with the built-in roles that have it."""
    import_module(settings.ROOT_URLCONF)
    wrong = []
    for method, address, _view, rule in operations():
        undeclared = [one for one in rule.permissions if not catalog.is_declared(one)]
        needed = set(rule.permissions)
        smallest = next(scope for scope in Scope if scope == Scope.ADMIN or permissions_of(scope.role) >= needed)
        if undeclared or rule.scope != smallest:
            wrong.append((method, address, undeclared, f"its scope is {rule.scope}, which should be {smallest}"))

    assert wrong == []
