"""`make dev`: the local stack for the time of one command; its processes are replaced whenever a file changes."""

import os
from pathlib import Path

from erip.ops.stack import asked, control, own, progress
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT, State, read_json

#: what the platform is made of, besides the packages in ERIP_APPS
PACKAGES = ("erip", "workflows", "schedules", "monitoring", "console")
SUFFIXES = (".py", ".html", ".css", ".yaml", ".yml", ".json", ".md")
#: milliseconds: files that an editor or git writes together are one change
TOGETHER = 100
#: what a developer starts; Flower is left out for a quicker start
NAMES = ("web", "worker-general", "leader")
#: errors are shown whole, one web process is enough, and nothing waits before it ends
SETTINGS = {"ERIP_LOG_ERROR_TEXT": "true", "ERIP_WEB_WORKERS": "1", "ERIP_SHUTDOWN_GRACE_SECONDS": "5"}


def run(state: State) -> int:
    """Until Ctrl-C. A stack that this command started ends with it; one that ran already goes on."""
    from erip.ops.stack.screens import show_access

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    started = control.up(state, names=NAMES, tied=True)
    try:
        show_access(state, control.status(state), read_json(state.credentials))
        watch(state)
    finally:
        if started:
            control.down(state)
    return 0


def watch(state: State) -> None:
    """Reload at each change, until Ctrl-C."""
    import watchfiles

    seen = folders()
    progress.console.print("Watching " + ", ".join(str(_near(folder)) for folder in seen))
    for changes in watchfiles.watch(*seen, watch_filter=Sources(), debounce=TOGETHER, step=20, raise_interrupt=True):
        names = sorted({_near(Path(path)) for _, path in changes})
        progress.console.print(f"[dim]changed: {', '.join(map(str, names[:3]))}{' …' if len(names) > 3 else ''}[/]")
        try:
            progress.done("reloaded", control.reload(state))
        except StackError as error:
            if not control.is_running(state):
                raise
            progress.error(str(error))


def folders() -> list[Path]:
    """The platform's packages and those in ERIP_APPS."""
    mine = own.folders(asked.of(os.environ))
    return [ROOT / name for name in PACKAGES] + [folder for folder in mine if folder.is_dir()]


class Sources:
    """What `watchfiles` reports: sources, and nothing that programs write beside them."""

    def __call__(self, _change: object, path: str) -> bool:
        return path.endswith(SUFFIXES) and "/__pycache__/" not in path and "/." not in path.removeprefix(str(ROOT))


def _near(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
