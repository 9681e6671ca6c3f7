"""The files of one release after the other in one folder, as an upgrade in place has them."""

# ruff: noqa: S603 (programs are started from lists)

import re
import shutil
import subprocess
from pathlib import Path

from erip.ops.stack.state import ROOT

from ..errors import Missing
from . import own_app

_PIN = re.compile(r"^([A-Za-z0-9_.\[\],-]+)==([^ \\;]+)", re.MULTILINE)
#: the packages and programs of the platform read these; whoever runs the servers is another user
READABLE = 0o755


class Tree:
    """A clone in this folder, which borrows the objects of the repository here, and an app of one's own beside it."""

    def __init__(self, folder: Path) -> None:
        """Raises Missing without git, and where the repository is not one."""
        self.root = folder / "release"
        #: ERIP_APPS_DIR
        self.apps = folder / "apps"
        self._git_path = shutil.which("git")
        if self._git_path is None:
            raise Missing("A rehearsal needs git, and the history of the repository.")
        self._run("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(self.root))
        self.apps.mkdir(mode=READABLE)

    def commit(self, ref: str) -> str:
        """The commit of a tag, a branch or a commit here. Raises Missing."""
        try:
            return self._run("-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip()
        except Missing:
            raise Missing(f"There is no {ref} here: a shallow clone has no history (git fetch --unshallow).") from None

    def lacking(self, commit: str) -> list[str]:
        """The pins of that release which the environment here does not have."""
        then = self._run("-C", str(ROOT), "show", f"{commit}:requirements.txt")
        now = set(_PIN.findall((ROOT / "requirements.txt").read_text("utf-8")))
        return sorted(f"{name} {version}" for name, version in set(_PIN.findall(then)) - now)

    def switch(self, commit: str, *, newer: bool) -> None:
        """Put the files of this release in place. newer: also those of the app's newer release."""
        self._run("-C", str(self.root), "checkout", "--quiet", "--force", "--detach", commit)
        own_app.write(self.apps, newer=newer)
        for folder in (self.root, self.apps):
            folder.chmod(READABLE)

    def _run(self, *words: str) -> str:
        done = subprocess.run([str(self._git_path), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"git {words[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout
