"""What is measured: a deployment that runs already, or a private stack that ends with the benchmark."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from erip.stack import control, services
from erip.stack.errors import StackError
from erip.stack.state import State, read_json

from .errors import Missing

#: what would lead a private stack to servers or secrets of another one
OTHERS = (
    *("DATABASE_URL", "ERIP_BROKER_URL", "ERIP_STATE_DIR", "ERIP_SECRET_KEY", "ERIP_WEBHOOK_SECRET"),
    *("ERIP_PUBLIC_URL", "ERIP_REPORT_DIR", "DJANGO_SETTINGS_MODULE"),
)


@dataclass(frozen=True)
class Deployment:
    """Where it is and what can be reached of it beside the API."""

    url: str
    key: str
    #: None: results are checked through the API, and the limits of the servers are left out
    database: str | None = None
    broker: str | None = None
    #: the supervisor of a private stack: all processes and servers are its descendants
    pid: int | None = None
    state: State | None = None


@contextmanager
def private_stack() -> Iterator[Deployment]:
    """Everything of its own: servers, ports, state directory. Raises Missing when it cannot be started."""
    # Not made here: whom it belongs to is the stack's to say.
    root = Path(tempfile.gettempdir()) / f"erip-benchmarks-{token_hex(6)}"
    state = State(root)
    try:
        with _without(OTHERS), _up(state) as deployment:
            yield deployment
    finally:
        home = root / "home"
        if home.is_file():
            shutil.rmtree(home.read_text().strip(), ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _up(state: State) -> Iterator[Deployment]:
    try:
        control.up(state, names=services.DEMO, tied=True)
    except (StackError, OSError) as error:
        raise Missing(f"A private stack cannot be started: {error}") from error
    try:
        status = control.status(state)
        told = read_env(state.env)
        key = str(read_json(state.credentials)["api_key"])
        url = status.url("web") or ""
        yield Deployment(url, key, told["DATABASE_URL"], told["ERIP_BROKER_URL"], status.pid, state)
    finally:
        control.down(state)


def read_env(path: Path) -> dict[str, str]:
    """The settings in a stack's `env` file."""
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name: value.strip("'") for name, _, value in lines}


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
