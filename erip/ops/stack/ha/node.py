"""What the servers of this layout have in common: a folder, a configuration file in it, a port, a log."""

import hashlib
import os
import signal
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from erip.ops.stack.binaries import Binary
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import last_line
from erip.ops.stack.state import write_private


@dataclass
class Node(ABC):
    """One server; `folder` holds its configuration and data, which only `user` may read (None: the caller)."""

    name: str
    binary: Binary
    folder: Path
    port: int
    log: Path
    user: User | None

    file: ClassVar[str] = "server.conf"
    stop_signal: ClassVar[int] = signal.SIGTERM
    stop_patience: ClassVar[float] = 10.0
    #: the server writes its own changes into the file: it is kept from an older start, unless the wanted text differs
    rewrites: ClassVar[bool] = False
    #: the signal that makes it read its certificate again; None: it does so by itself, at each new connection
    reload_signal: ClassVar[int | None] = None
    #: that signal ends it, as it reads its certificate at its start only: of such servers one at a time is renewed
    one_at_a_time: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return self.binary.title

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}

    @property
    def configuration(self) -> Path:
        return self.folder / self.file

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def tls(self) -> Path:
        """Its certificate, where it has one."""
        return self.folder / "tls"

    @property
    def cwd(self) -> Path:
        return Path("/")

    @property
    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def render(self) -> str:
        """The text of the configuration file."""

    @abstractmethod
    def ready(self) -> bool: ...

    def certify(self) -> bool:
        """Have its certificate made if that is due; returns whether it was."""
        return False

    def renew(self) -> bool:
        """The same while it runs; returns whether the server must be made to read it (`reload_signal`)."""
        fresh = self.certify()
        self._give_to_user()
        return fresh

    def prepare(self) -> None:
        """Make the folders and the certificate, and write the configuration, mode 0600."""
        for folder in (self.folder, self.data):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.certify()
        text = self.render()
        stamp = self.folder / "rendered.sha256"
        digest = hashlib.sha256(text.encode()).hexdigest()
        same = stamp.exists() and stamp.read_text() == digest and self.configuration.exists()
        if not (self.rewrites and same):
            write_private(self.configuration, text)
            write_private(stamp, digest)
        self._give_to_user()

    def _give_to_user(self) -> None:
        if self.user:
            for path in (self.folder, self.data, self.configuration, self.tls, *self.tls.rglob("*")):
                if path.exists():
                    os.chown(path, self.user.uid, self.user.gid)

    def why(self) -> str:
        """The reason of a failed start, from the end of the log."""
        return last_line(self.log)
