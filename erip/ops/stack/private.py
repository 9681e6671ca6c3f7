"""A whole stack of its own for a benchmark or a test: servers, ports, state directory. It ends with its caller."""

import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from erip.ops.stack import control, services
from erip.ops.stack.state import State, read_json

#: what would lead a private stack to servers or secrets of another one
OTHERS = (
    *(
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "ERIP_BROKER_URL",
        "ERIP_WORKER_BROKER_URL",
        "ERIP_STATE_DIR",
        "ERIP_SECRET_KEY",
        "ERIP_WEBHOOK_SECRET",
    ),
    *("ERIP_FLOWER_URL", "ERIP_FLOWER_LOGIN", "ERIP_FLOWER_CA", "ERIP_FLOWER_WEB_CERTIFICATE"),
    *("ERIP_PUBLIC_URL", "ERIP_REPORT_DIR", "ERIP_REPLICA_URLS", "DJANGO_SETTINGS_MODULE"),
    *(
        "ERIP_LB_CERTIFICATE",
        "ERIP_LB_REDIRECT_PORT",
        "ERIP_SENTINEL_MASTER",
        "ERIP_SENTINEL_PASSWORD",
        "ERIP_BROKER_CA",
        "ERIP_BROKER_CERTIFICATE",
    ),
)


@dataclass(frozen=True)
class PrivateStack:
    """A running stack. `env` is what the platform is given: DATABASE_URL, ERIP_BROKER_URL and so on."""

    state: State
    url: str
    api_key: str
    env: dict[str, str]
    #: the supervisor: all processes and servers are its descendants
    pid: int

    @property
    def context(self) -> ssl.SSLContext | None:
        """How to ask `url`; None: in the clear."""
        return control.front_context(self.state, self.url)

    @property
    def operators_broker(self) -> str:
        """ERIP_BROKER_URL with the login that may do everything, which no process of the platform has."""
        password = read_json(self.state.secrets)["redis"]
        return re.sub("//[^@]*@", f"//:{password}@", self.env["ERIP_BROKER_URL"])


@contextmanager
def private_stack(*, ha: bool = False, names: tuple[str, ...] = services.DEMO) -> Iterator[PrivateStack]:
    """Raises StackError or OSError when it cannot be started. `ha`: with several of everything."""
    # Not made here: whom it belongs to is the stack's to say.
    root = Path(tempfile.gettempdir()) / f"erip-private-{token_hex(6)}"
    state = State(root)
    try:
        with without_others():
            control.up(state, names=names, ha=ha, tied=True)
            try:
                status = control.status(state)
                key = str(read_json(state.credentials)["api_key"])
                yield PrivateStack(state, status.url("web") or "", key, read_env(state.env), status.pid)
            finally:
                control.down(state)
    finally:
        home = root / "home"
        if home.is_file():
            shutil.rmtree(home.read_text().strip(), ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)


def read_env(path: Path) -> dict[str, str]:
    """The settings in a stack's `env` file."""
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name: value.strip("'") for name, _, value in lines}


@contextmanager
def without_others() -> Iterator[None]:
    """The environment without `OTHERS`, for a while. The usual ports are left to others."""
    kept = {name: os.environ.pop(name) for name in OTHERS if name in os.environ}
    usual = [name for name in ("ERIP_WEB_PORT", "ERIP_FLOWER_PORT") if not os.environ.get(name)]
    os.environ.update(dict.fromkeys(usual, "0"))
    try:
        yield
    finally:
        for name in usual:
            del os.environ[name]
        os.environ.update(kept)
