"""What the user sees while something takes time: on stderr, so that stdout can be read by a program."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console() -> "Console":
    """Loads Rich at its first use: the supervisor shows nothing, and runs for months."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@contextmanager
def task(title: str) -> Iterator[None]:
    """Show that `title` is under way, then how long it took."""
    started = time.monotonic()
    with console().status(f"{_plain(title)} …"):
        yield
    done(title, time.monotonic() - started)


def done(title: str, seconds: float) -> None:
    """One finished piece of work."""
    console().print(f"[green]✓[/] {_plain(title)} [dim]{seconds:.1f} s[/]")


def warn(message: str) -> None:
    """Something the user should know, though the work goes on."""
    console().print(f"[yellow]![/] {_plain(message)}", soft_wrap=True)


def error(message: str) -> None:
    """Why the command ends without having done its work."""
    console().print(f"[red]✗[/] {_plain(message)}", soft_wrap=True)
