"""`make dev`: the local stack for the time of one command; its processes are replaced whenever a file changes, and the
samples and tests of the own packages run after each change (`trying`)."""

import os
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from erip.ops.stack import asked, control, own, progress, releases, trying
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT, State, read_json

SUFFIXES = (".py", ".html", ".css", ".yaml", ".yml", ".json", ".md")
#: milliseconds: files that an editor or git writes together are one change
TOGETHER = 100
#: milliseconds after which the watch says that nothing has changed
LOOK_EVERY = 500
#: what a developer starts; Flower is left out for a quicker start
NAMES = ("web", "worker-general", "leader")
#: errors are shown whole, one web process is enough, and nothing waits before it ends
SETTINGS = {"ERIP_LOG_ERROR_TEXT": "true", "ERIP_WEB_WORKERS": "1", "ERIP_SHUTDOWN_GRACE_SECONDS": "5"}


def run(state: State, app: Path | None = None) -> int:
    """Until Ctrl-C. A stack that this command started ends with it; one that ran already goes on.

    app: the folder of a project whose package is added to ERIP_APPS. Raises StackError.
    """
    from erip.ops.stack.screens import show_access

    if app is not None:
        add(app.expanduser().absolute(), os.environ)
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


def add(project: Path, env: MutableMapping[str, str]) -> None:
    """Name the package of this project in ERIP_APPS. Raises StackError."""
    package = project.name.replace("-", "_")
    if not (project / package / "__init__.py").is_file():
        raise StackError(
            f"{project} holds no package {package}. `make new NAME={project.name}` makes one; a package of another "
            "name, or a second one, is named in ERIP_APPS and ERIP_APPS_DIR."
        )
    if env.get("ERIP_APPS_DIR", str(project)) != str(project):
        raise StackError(f"ERIP_APPS_DIR is {env['ERIP_APPS_DIR']}, and APP another folder: {project}.")
    env["ERIP_APPS_DIR"] = str(project)
    env["ERIP_APPS"] = ",".join(dict.fromkeys([*own.names(env), package]))


def watch(state: State) -> None:
    """Reload at each change, and try the own packages out, until Ctrl-C."""
    import watchfiles

    projects = trying.projects(asked.of(os.environ))
    beside = trying.beside(projects)
    trial = trying.Trial(state, projects)
    seen = [*folders(), *beside]
    progress.console().print("Watching " + ", ".join(str(_near(folder)) for folder in seen))
    try:
        # It watches from here on, so that what is saved during the first trial is not missed.
        changed = watchfiles.watch(
            *seen,
            watch_filter=Sources(),
            debounce=TOGETHER,
            step=20,
            raise_interrupt=True,
            yield_on_timeout=True,
            rust_timeout=LOOK_EVERY,
        )
        next(changed)
        trial.begin()
        for changes in changed:
            if changes:
                _take_in(state, {Path(path) for _, path in changes}, beside, trial)
    finally:
        trial.stop()


def _take_in(state: State, changed: set[Path], beside: Sequence[Path], trial: trying.Trial) -> None:
    names = sorted(map(_near, changed))
    progress.console().print(f"[dim]changed: {', '.join(map(str, names[:3]))}{' …' if len(names) > 3 else ''}[/]")
    if not all(any(path.is_relative_to(folder) for folder in beside) for path in changed):
        try:
            progress.done("reloaded", control.reload(state))
        except StackError as error:
            if not control.is_running(state):
                raise
            progress.error(str(error))
            return
    trial.begin()


def folders() -> list[Path]:
    """The platform's packages and those in ERIP_APPS."""
    mine = own.folders(asked.of(os.environ))
    return [ROOT / name for name in releases.PACKAGES] + [folder for folder in mine if folder.is_dir()]


class Sources:
    """What `watchfiles` reports: sources, and nothing that programs write beside them."""

    def __call__(self, _change: object, path: str) -> bool:
        return path.endswith(SUFFIXES) and "/__pycache__/" not in path and "/." not in path.removeprefix(str(ROOT))


def _near(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
