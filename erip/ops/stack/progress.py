"""What the user sees while something takes time: on stderr, so that stdout can be read by a program."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

console = Console(stderr=True, highlight=False)


@contextmanager
def task(title: str) -> Iterator[None]:
    """Show that `title` is under way, then how long it took."""
    started = time.monotonic()
    with console.status(f"{escape(title)} …"):
        yield
    done(title, time.monotonic() - started)


def done(title: str, seconds: float) -> None:
    """One finished piece of work."""
    console.print(f"[green]✓[/] {escape(title)} [dim]{seconds:.1f} s[/]")


def warn(message: str) -> None:
    """Something the user should know, though the work goes on."""
    console.print(f"[yellow]![/] {escape(message)}", soft_wrap=True)


def error(message: str) -> None:
    """Why the command ends without having done its work."""
    console.print(f"[red]✗[/] {escape(message)}", soft_wrap=True)
