"""`manage.py pulse errors`: groups of errors in a terminal."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import CommandError

from monitoring.api.errors import document, page
from monitoring.core.fingerprints import Source
from monitoring.core.groups import GroupState
from monitoring.errors import NoSuchErrorGroup
from monitoring.store.error_reading import GroupFilter

#: seconds that the counts of one group go back
_DAY = 86_400
_BARS = " ▁▂▃▄▅▆▇█"


def add_arguments(parser: Any) -> None:
    parser.add_argument("id", type=int, nargs="?", help="of one group, to show all of it")
    parser.add_argument("--state", choices=[*map(str, GroupState), "regression", "any"], default="open")
    parser.add_argument("--source", choices=[*map(str, Source)])
    parser.add_argument("--text", help="part of the title, of what failed, or of name@version")
    parser.add_argument("--limit", type=int, default=20, help="how many; seen last first")
    parser.add_argument("--json", action="store_true", help="as GET /api/v1/errors answers it")


def show(write: Callable[[str], object], options: Mapping[str, Any]) -> None:
    """Raises CommandError."""
    number = options["id"]
    if number is not None:
        try:
            found = document(number, _DAY) if 0 < number < 10**18 else None
        except NoSuchErrorGroup:
            found = None
        if found is None:
            raise CommandError(f"there is no group {number}: `manage.py pulse errors --state any` lists all")
        write(json.dumps(found)) if options["json"] else _one(write, found)
        return
    if not 1 <= options["limit"] <= 1_000:
        raise CommandError("--limit must be 1 to 1000")
    state = options["state"]
    which = GroupFilter(
        state={"any": None, "regression": "open"}.get(state, state),
        source=options["source"],
        text=options["text"],
        regression=True if state == "regression" else None,
    )
    listed = page(which, limit=options["limit"])
    if options["json"]:
        write(json.dumps(listed))
        return
    for one in listed["items"]:
        state = "regression" if one["regression"] else one["state"]
        write(f"{one['id']:>6}  {state:<10}  {one['count']:>9,}  {_bars(one['hours'])}  {one['title']}")
        write(f"{'':>8}{one['what']} · last {_moment(one['last_seen'])} · since {_moment(one['first_seen'])}")
    if not listed["items"]:
        write("no error is like that")
    elif listed["next_cursor"]:
        write("… and more: --limit shows them")


def _one(write: Callable[[str], object], group: Mapping[str, Any]) -> None:
    write(group["title"])
    state = "regression" if group["regression"] else group["state"]
    because = f" ({group['changed_by']}: {group['reason']})" if group["reason"] else ""
    write(f"{state}{because}, {group['count']:,} times")
    write(f"last {_moment(group['last_seen'])}, release {group['last_release']} {group['last_definition']}".rstrip())
    write(
        f"first {_moment(group['first_seen'])}, release {group['first_release']} {group['first_definition']}".rstrip()
    )
    write("one kind because they share:")
    for part in group["why"]:
        write(f"  {part['name']}: {part['value']}")
    for link in group["links"]:
        write(f"{link['kind']} {link['id']}  {_moment(link['at'])}  {link['detail']}")
    if group["traceback"]:
        write(group["traceback"])


def _bars(hours: list[int]) -> str:
    most = max(hours, default=0) or 1
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in hours)


def _moment(text: str) -> str:
    return text[:19].replace("T", " ")
