"""A highly available stack that was started from the files of an older release, by that release's own commands."""

# ruff: noqa: S603 (programs are started from lists)

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from erip.ops.stack import control
from erip.ops.stack.errors import StackError
from erip.ops.stack.private import PrivateStack, read_env, without_others
from erip.ops.stack.state import State, read_json

from ..deployment import Deployment
from ..errors import BenchmarkError, Missing
from . import own_app
from .tree import Tree

#: seconds for its start, and for any of its commands
PATIENCE = 600.0


@dataclass(frozen=True)
class Release:
    """What the rehearsal goes through. before, after: commits; environment: of the stack's commands."""

    tree: Tree
    before: str
    after: str
    environment: Mapping[str, str] = field(repr=False)

    def manage(self, state: State, *words: str, right: Collection[int] = (0,), patience: float = PATIENCE) -> str:
        """What a command of manage.py says, with the files that are in place and the settings of the stack.

        right: exit statuses that are no failure. patience: seconds that it may take. Raises BenchmarkError.
        """
        env = {**self.environment, **read_env(state.env), "DJANGO_SETTINGS_MODULE": "erip.settings.local"}
        command = [sys.executable, "-W", "ignore", "manage.py", *words]
        return _run(command, self.tree.root, env, right=right, patience=patience)


@contextmanager
def old_stack(before: str, after: str) -> Iterator[Deployment]:
    """Raises Missing where it cannot be started. before, after: tags or commits."""
    folder = Path(tempfile.mkdtemp(prefix="erip-upgrade-"))
    folder.chmod(0o755)
    state = State(Path(tempfile.gettempdir()) / f"erip-private-{token_hex(6)}")
    try:
        tree = Tree(folder)
        old, new = tree.commit(before), tree.commit(after)
        if lacking := tree.lacking(old):
            raise Missing(f"{before} needs packages that are not here: {', '.join(lacking[:5])}.")
        tree.switch(old, newer=False)
        with without_others():
            own = {"ERIP_APPS": own_app.NAME, "ERIP_APPS_DIR": str(tree.apps), "ERIP_STATE_DIR": str(state.root)}
            env = {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "1"}
            release = Release(tree, old, new, env)
            try:
                _run([sys.executable, "-m", "erip.ops.stack", "up", "--ha"], tree.root, env)
                yield _deployment(state, release)
            finally:
                _end(state)
    except StackError as error:
        raise Missing(f"The stack of {before} cannot be started: {error}") from error
    finally:
        home = state.root / "home"
        if home.is_file():
            shutil.rmtree(home.read_text().strip(), ignore_errors=True)
        shutil.rmtree(state.root, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _deployment(state: State, release: Release) -> Deployment:
    status = control.status(state)
    told = read_env(state.env)
    stack = PrivateStack(state, status.url("web") or "", str(read_json(state.credentials)["api_key"]), told, status.pid)
    database = told.get("DATABASE_OWNER_URL") or told["DATABASE_URL"]
    return Deployment(
        stack.url, stack.api_key, database, stack.operators_broker, stack.pid, state, stack.context, release
    )


def _end(state: State) -> None:
    try:
        control.down(state)
    except StackError as error:
        raise BenchmarkError(f"The stack under {state.root} did not end: {error}") from error


def _run(
    command: list[str],
    where: Path,
    env: Mapping[str, str],
    *,
    right: Collection[int] = (0,),
    patience: float = PATIENCE,
) -> str:
    try:
        done = subprocess.run(
            command, cwd=where, env=dict(env), capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{' '.join(command[-3:])}: not within {patience:.0f} s") from error
    if done.returncode not in right:
        said = (done.stderr or done.stdout).strip().splitlines()[-6:]
        raise BenchmarkError(f"{' '.join(command[-3:])}: {' / '.join(said)[-800:]}")
    return done.stdout
