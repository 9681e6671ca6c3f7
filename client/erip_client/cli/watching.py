"""Following a run to its end: drawn over and over on a terminal, a line for each change in a pipe."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from erip_client import Client, WaitedTooLong
from erip_client.models import Run

from . import show
from .exits import Exit
from .terminal import Output


def follow(client: Client, run_id: str, out: Output, timeout: float | None) -> Exit:
    """OK if the run SUCCEEDED, FAILED if it ended otherwise. Raises EripError; WaitedTooLong after the timeout."""
    draw = out.is_terminal and not out.as_json
    last = (_drawn if draw else _lines)(client, run_id, out, timeout)
    return Exit.OK if last.succeeded else Exit.FAILED


def _lines(client: Client, run_id: str, out: Output, timeout: float | None) -> Run:
    before: Run | None = None
    for run in client.watch_run(run_id, timeout=timeout):
        if out.as_json:
            out.document(run, compact=True)
        else:
            for line in show.changes(before, run):
                out.line(line)
        before = run
    assert before is not None, "a watched run is seen at least once"
    return before


class _Picture:
    """The run as it was last seen; its bars grow by the clock between two looks."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.run: Run | None = None

    def __rich__(self) -> RenderableType:
        if self.run is None:
            return Text("…", "dim")
        width = self.out.console.width
        if self.run.ended:
            return show.run_page(self.run, width)
        drawn = show.timeline(self.run, width, datetime.now(UTC))
        leave = Text("Ctrl-C leaves; the run goes on.", "dim")
        return Group(show.heading(self.run), Text(), drawn, *show.waits(self.run), leave)


def _drawn(client: Client, run_id: str, out: Output, timeout: float | None) -> Run:
    picture = _Picture(out)
    try:
        with Live(picture, console=out.console, refresh_per_second=8, vertical_overflow="crop", transient=True):
            for run in client.watch_run(run_id, timeout=timeout):
                picture.run = run
    except (WaitedTooLong, KeyboardInterrupt):
        if picture.run is not None:
            out.print(show.run_page(picture.run, out.console.width))
        raise
    assert picture.run is not None, "a watched run is seen at least once"
    out.print(show.run_page(picture.run, out.console.width))
    return picture.run
