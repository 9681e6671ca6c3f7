"""The owner of a table is the package that writes it: no SQL changes a table of another package.

import-linter sees imports. A statement that names another package's table is an arrow that it cannot see.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: prefix of its tables → the folders that may write them
OWNERS = {
    "workflows_": ("workflows/",),
    # The journal is beneath the engine and the event bus: both write events through it.
    "events_": ("workflows/events/", "workflows/journal/"),
    "library_": ("workflows/library/",),
    "decisions_": ("workflows/decisions/",),
    "clocks_": ("workflows/clocks/",),
    "secrets_": ("workflows/secrets/",),
    "privacy_": ("workflows/privacy/",),
    "autoscale_": ("monitoring/scaling/",),
    "monitoring_": ("monitoring/store/",),
    "access_": ("erip/access/",),
    "audit_": ("erip/audit/",),
}
#: packages inside `workflows/` that are not the engine
APPS = (
    "workflows/events/",
    "workflows/library/",
    "workflows/decisions/",
    "workflows/clocks/",
    "workflows/secrets/",
    "workflows/privacy/",
    "workflows/journal/",
)

WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|COPY)\s+\"?((?:workflows|events|library|decisions|clocks"
    r"|secrets|privacy|autoscale|monitoring|access|audit)_[a-z_]+)"
)


def statements(path: Path) -> list[tuple[int, str]]:
    return [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def owner_may_write(table: str, path: str) -> bool:
    prefix = next(prefix for prefix in OWNERS if table.startswith(prefix))
    if prefix == "workflows_":
        return path.startswith("workflows/") and not path.startswith(APPS)
    return path.startswith(OWNERS[prefix])


def foreign_writes() -> list[str]:
    found = []
    for package in ("erip", "workflows", "schedules", "people", "monitoring", "console"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "/migrations/" in name:
                continue
            for line, text in statements(path):
                for table in WRITES.findall(text):
                    if not owner_may_write(table, name):
                        found.append(f"{name}:{line} writes {table}")
    return found


def test_no_package_writes_the_tables_of_another() -> None:
    assert foreign_writes() == []


def test_a_foreign_write_would_be_found() -> None:
    assert WRITES.findall(
        'INSERT INTO events_block (partition) SELECT 1; UPDATE "workflows_workflowrun" SET x = 1'
    ) == [
        "events_block",
        "workflows_workflowrun",
    ]
    assert not owner_may_write("events_block", "workflows/store/outbox.py")
    assert not owner_may_write("workflows_workflowrun", "workflows/events/store/triggers.py")
    assert owner_may_write("events_block", "workflows/journal/store.py")
