"""What the program prints. Colours only on a terminal without NO_COLOR; in a pipe nothing is cut off at 80 columns."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from .words import safe, to_json

COLOURS = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "CANCELLED": "yellow",
    "UNKNOWN": "yellow",
    "PAUSED": "yellow",
    "RUNNING": "cyan",
    "WAITING": "blue",
    "ready": "green",
    "ok": "green",
    "degraded": "yellow",
    "down": "red",
    "unreachable": "red",
    "unavailable": "red",
    "draining": "yellow",
}


class PipeClosed(Exception):
    """Whoever read the output has ended."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise PipeClosed


_WIDE = 4000
#: blanks between two columns
GAP = 2
#: characters that a column has that is cut off
NARROWEST = 12


def console(*, errors: bool = False) -> Console:
    """Nothing in a text is markup, an emoji or to be highlighted: texts come from elsewhere."""
    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else _WIDE
    return _Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


class Output:
    """Where a command's results go: documents with --json, tables otherwise."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = console()
        self.is_terminal = self.console.is_terminal

    def print(self, *parts: RenderableType) -> None:
        for part in parts:
            self.console.print(part)

    def line(self, text: object, style: str = "") -> None:
        """A text from elsewhere, as one line."""
        self.console.print(Text(safe(text), style), soft_wrap=True)

    def document(self, value: Any, *, compact: bool = False) -> None:
        """JSON, as the API gave it. compact: in one line, for streams."""
        print(to_json(plain(value), None if compact else 2), flush=compact)

    def note(self, text: str) -> None:
        """For a person, beside the result."""
        console(errors=True).print(Text(safe(text), "dim"), soft_wrap=True)

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[Any]], *, cut: Sequence[str] | None = None) -> None:
        """Columns without any content are left out. The last column is wrapped where the terminal is too narrow.

        cut: each row is one line; these columns are cut off as far as is needed, the first of them first. Others, such
        as ids, are shown whole.
        """
        cells = [[cell if isinstance(cell, Text) else Text(safe(cell)) for cell in row] for row in rows]
        kept = [at for at in range(len(titles)) if any(row[at].plain for row in cells)] if cells else range(len(titles))
        widths = {at: max([cell_len(titles[at]), *(row[at].cell_len for row in cells)]) for at in kept}
        excess = sum(widths.values()) + GAP * (len(widths) - 1) - self.console.width
        for title in cut or ():
            at = titles.index(title)
            if at in widths and excess > 0:
                less = min(excess, max(0, widths[at] - NARROWEST))
                widths[at], excess = widths[at] - less, excess - less
        made = Table(box=None, padding=(0, GAP, 0, 0), header_style="bold", pad_edge=False)
        for at in kept:
            if cut is None and at == max(kept):
                made.add_column(titles[at], overflow="fold")
            else:
                made.add_column(titles[at], no_wrap=True, overflow="ellipsis", width=widths[at])
        for row in cells:
            made.add_row(*(row[at] for at in kept))
        self.console.print(made)


def coloured(status: str) -> Text:
    return Text(safe(status), COLOURS.get(status, ""))


def plain(value: Any) -> Any:
    """What JSON has, with the names and the absences of the API."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
