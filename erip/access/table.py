"""The page docs/reference/access.md: every role, permission and operation in one place."""

from collections.abc import Iterator

from .actions import operations
from .catalog import BUILT_IN, EVERYTHING, declared, permissions_of

YES, NO = "●", ""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([*_begin(), *_operations(), *_permissions(), ""])


def opened(role: str, needs: tuple[str, ...]) -> bool:
    """Whether a caller with this built-in role on everything may do what needs these permissions."""
    has = permissions_of(role)
    return EVERYTHING in has or (bool(needs) and has >= set(needs))


def _begin() -> Iterator[str]:
    yield from (
        "# Who may do what: operations, permissions, roles",
        "",
        "[Who may do what](../explanation/who-may-do-what.md) explains roles and grants,",
        "[giving access](../how-to/give-access.md) shows the commands. A test asks for every operation with every role",
        "and compares the answers with this page, which is made by `manage.py reference access`.",
        "",
        "| role | what it is for |",
        "| --- | --- |",
    )
    yield from (f"| `{name}` | {meaning} |" for name, meaning in BUILT_IN.items())


def _operations() -> Iterator[str]:
    yield from (
        "",
        "## Operations",
        "",
        "“In a space” marks what a role opens that was granted in a space. The rest needs the role on everything.",
        "",
        f"| operation | needs | in a space | {' | '.join(BUILT_IN)} |",
        f"| --- | --- | :-: |{' :-: |' * len(BUILT_IN)}",
    )
    rows = [
        (address, method, rule.permissions, bool(getattr(getattr(view, method.lower()), "about", "")))
        for method, address, view, rule in operations()
    ]
    for address, method, needs, spaced in sorted(rows):
        named = ", ".join(f"`{one}`" for one in needs)
        marks = [YES if spaced else NO, *_marks(needs)]
        yield f"| {method} `{address}` | {named} | {' | '.join(marks)} |"


def _permissions() -> Iterator[str]:
    yield from (
        "",
        "## Permissions",
        "",
        "The admin, the console and the API ask for the same ones. A permission that is not listed belongs to platform",
        "admins. “Part of” names broader permissions that include it; besides, who may `change_` may also `view_`.",
        "",
        f"| permission | may | part of | {' | '.join(BUILT_IN)} |",
        f"| --- | --- | --- |{' :-: |' * len(BUILT_IN)}",
    )
    for one in declared():
        broader = ", ".join(f"`{name}`" for name in one.implied_by)
        yield f"| `{one.name}` | {one.meaning} | {broader} | {' | '.join(_marks((one.name,)))} |"


def _marks(needs: tuple[str, ...]) -> Iterator[str]:
    return (YES if opened(role, needs) else NO for role in BUILT_IN)
