"""The door of manage.py."""

import getpass
import os
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import structlog
from django.db import DatabaseError

from erip.audit.exempt import COMMANDS
from erip.audit.operation import MOST, Operation, doing

log = structlog.get_logger(__name__)

#: it makes the log's own tables
MIGRATE = "migrate"
#: options whose values are not recorded
_SECRET = re.compile(r"pass|secret|token|key|dsn|url", re.IGNORECASE)


@contextmanager
def audited(arguments: Sequence[str]) -> Iterator[None]:
    """Surrounds a command. arguments: as in `sys.argv`. A command that fails before it changes anything leaves no
    entry."""
    name = arguments[1] if len(arguments) > 1 else "help"
    if name in COMMANDS or name.startswith("-") or {"-h", "--help"} & set(arguments):
        yield
        return
    user = _user()
    operation = Operation(
        door="command",
        action=f"command:{name}",
        principal=lambda: f"os:{user}",
        behalf=f"os:{behalf}" if (behalf := os.environ.get("SUDO_USER", "")) else "",
        address=platform.node(),
        reason=os.environ.get("ERIP_REASON", ""),
        detail={"arguments": " ".join(shown(arguments[2:]))[:MOST]},
    )
    with nullcontext() if name == MIGRATE else doing(operation):
        yield
    if not operation.written:
        try:
            operation.write_alone()
        except DatabaseError as error:
            if name != MIGRATE:
                raise
            log.warning("migration_not_recorded", error=error)


def shown(arguments: Sequence[str]) -> list[str]:
    """The arguments, without the values of options that may be secrets."""
    told: list[str] = []
    hide = False
    for each in arguments:
        option, equals, _ = each.partition("=")
        secret = option.startswith("-") and _SECRET.search(option) is not None
        told.append("…" if hide else f"{option}=…" if secret and equals else each)
        hide = secret and not equals and not hide
    return told


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
