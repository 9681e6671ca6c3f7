"""Nothing runs as root. When root starts the stack, it picks an ordinary user and runs everything as that one.

What that user may reach decides how far this goes:

- servers always run unprivileged. Where the state directory cannot be reached (a clone under /root), their data
  stands in a folder of /var/tmp that only they may enter;
- web, workers and the supervisor run unprivileged too when that user can run the virtual environment's Python
  and read the checkout; otherwise they run as root, and the stack says so.
"""

import hashlib
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erip.ops.stack.errors import NotYours, StackError
from erip.ops.stack.state import ROOT, State

# After the caller's own choice: accounts that exist to run things unprivileged. initdb wants a name in the user
# database, so a bare numeric uid would not do.
CANDIDATES = ("erip", "postgres", "nobody", "daemon")


@dataclass(frozen=True)
class User:
    """An ordinary user that root drops to."""

    name: str
    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """Arguments for subprocess that drop all privileges for good."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def is_root() -> bool:
    return os.geteuid() == 0


def choose_user(state: State) -> User | None:
    """The user to run as; None when this is an ordinary user already.

    The order is: ERIP_STACK_USER, the user who called sudo, the owner of the checkout, a service account.
    """
    if not is_root():
        return None
    if name := os.environ.get("ERIP_STACK_USER"):
        if found := _named(name):
            return found
        raise StackError(f"ERIP_STACK_USER names no ordinary user of this machine: {name}.")
    for uid in (os.environ.get("SUDO_UID", ""), str(_owner(state.root)), str(_owner(ROOT))):
        if uid.isdigit() and int(uid) != 0 and (found := _numbered(int(uid))):
            return found
    for name in CANDIDATES:
        if found := _named(name):
            return found
    raise StackError(
        f"Servers must not run as root, and this machine has no user {' or '.join(CANDIDATES)}: "
        "create one and name it in ERIP_STACK_USER."
    )


def server_home(state: State, user: User | None) -> Path:
    """The folder for the servers' data, made for the user that runs them; remembered in the file `home`."""
    if (elsewhere := state.root / "home").is_file():
        return _private_folder(Path(elsewhere.read_text().strip()), user)
    if user is None or user_can(user, lambda: _enterable(state.root.parent)):
        _private_folder(state.root, user)
        return _private_folder(state.root / "servers", user)
    state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = hashlib.sha256(str(state.root).encode()).hexdigest()[:12]
    home = _private_folder(Path("/var/tmp") / f"erip-{mark}", user)  # noqa: S108  # nosec B108 (checked there)
    (state.root / "home").write_text(f"{home}\n")
    return home


def can_run_platform(user: User) -> bool:
    """Whether `user` can run this Python, from this checkout, with what is installed."""
    if not user_can(user, lambda: os.access(ROOT / "manage.py", os.R_OK) and os.access(sys.executable, os.X_OK)):
        return False
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import django, psycopg2"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **user.popen(),
        )
    except OSError:
        return False
    return done.returncode == 0


def hand_over(folder: Path, user: User) -> None:
    """Give what root owns under `folder` to `user`; installed wheels stay root's, they are only read."""
    for path in (folder, *folder.rglob("*")):
        if "wheels" in path.relative_to(folder).parts:
            continue
        info = path.lstat()
        # A second name for a file elsewhere is left alone: giving it away would give that file away.
        if info.st_uid == 0 and (stat.S_ISDIR(info.st_mode) or info.st_nlink == 1):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def check_owner(state: State) -> None:
    """Raise when the state directory is another user's, before anything fails half-way."""
    if is_root() or not state.root.exists():
        return
    owner = _owner(state.root)
    if owner != os.geteuid():
        name = _numbered(owner)
        raise NotYours(
            f"The stack under {state.root} belongs to {name.name if name else f'uid {owner}'}: run this as that "
            "user or as root, or set ERIP_STATE_DIR to a folder of your own."
        )


def user_can(user: User, check: Callable[[], bool]) -> bool:
    """What `check` says when it runs as `user` (in a child process)."""
    child = os.fork()
    if child == 0:
        answer = 1
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            answer = 0 if check() else 1
        finally:
            os._exit(answer)
    return os.waitpid(child, 0)[1] == 0


def _enterable(folder: Path) -> bool:
    try:
        folder.stat()
    except OSError:
        return False
    return os.access(folder, os.X_OK)


def _private_folder(folder: Path, user: User | None) -> Path:
    """Make or check a folder that only its owner may enter. /var/tmp is everybody's: trust nothing found there."""
    uid = user.uid if user else os.geteuid()
    try:
        folder.mkdir(mode=0o700, parents=True)
        if user:
            os.chown(folder, user.uid, user.gid)
    except FileExistsError:
        info = folder.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid not in (uid, 0):
            raise StackError(
                f"{folder} exists and is not a folder of uid {uid}: remove it, or set ERIP_STATE_DIR."
            ) from None
        if user:
            hand_over(folder, user)
        folder.chmod(0o700)
    return folder


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except OSError:
        return 0


def _named(name: str) -> User | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid != 0 else None


def _numbered(uid: int) -> User | None:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
