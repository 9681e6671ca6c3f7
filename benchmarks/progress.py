"""What the user sees while a benchmark runs: on stderr, so that stdout holds the report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

#: drawing a bar may slow down what is measured, so it is drawn only twice a second
PER_SECOND = 2


class Live:
    """One line for each phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._current: TaskID | None = None

    def phase(self, title: str, total: int | None = None) -> Callable[[int], None]:
        """Begin a phase, and end the one before."""
        self.end()
        self._current = task = self._progress.add_task(title, total=total)
        return lambda done: self._progress.update(task, completed=done)

    def note(self, line: str) -> None:
        """Keep a line above what is going on; a pipe gets it, too."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        if self._current is not None:
            self._progress.remove_task(self._current)
            self._current = None


@contextmanager
def live(console: Console) -> Iterator[Live]:
    columns = (
        *(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24)),
        *(MofNCompleteColumn(), TimeElapsedColumn()),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=PER_SECOND) as progress:
        shown = Live(progress)
        yield shown
        shown.end()
