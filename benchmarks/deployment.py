"""What is measured: a deployment that runs already, or a private stack that ends with the benchmark."""

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from erip.ops.stack import environment, private
from erip.ops.stack.errors import StackError
from erip.ops.stack.private import read_env
from erip.ops.stack.state import State

from .errors import Missing

if TYPE_CHECKING:
    from .upgrade.old_stack import Release

__all__ = ["Deployment", "of_further_worker", "private_stack", "read_env"]


@dataclass(frozen=True)
class Deployment:
    """Where it is, and which parts of it can be reached beside the API."""

    url: str
    key: str
    #: None: results are checked through the API, and the limits of the servers are left out
    database: str | None = None
    broker: str | None = None
    #: the supervisor of a private stack: all processes and servers are its descendants
    pid: int | None = None
    state: State | None = None
    #: how to ask `url` over TLS; None: as the system's authorities say, or in the clear
    context: ssl.SSLContext | None = None
    #: of a stack that an older release started: the files of both
    release: "Release | None" = None


@contextmanager
def private_stack(*, ha: bool = False) -> Iterator[Deployment]:
    """Everything of its own: servers, ports, state directory. Raises Missing when it cannot be started.

    `ha`: several of everything, behind HAProxy.
    """
    with ExitStack() as context:
        try:
            stack = context.enter_context(private.private_stack(ha=ha))
        except (StackError, OSError) as error:
            raise Missing(f"A private stack cannot be started: {error}") from error
        told = stack.env
        # What is measured with is written beside the platform's tables, which its own role may not do.
        database = told.get("DATABASE_OWNER_URL") or told["DATABASE_URL"]
        yield Deployment(
            stack.url, stack.api_key, database, stack.operators_broker, stack.pid, stack.state, stack.context
        )


def of_further_worker(state: State) -> dict[str, str]:
    """The environment of a worker beside those of a private stack. It has their login to the broker: with another it
    could take no message."""
    told = {**os.environ, **read_env(state.env), "ERIP_STATE_DIR": str(state.root)}
    return environment.of_further_worker({**told, "DJANGO_SETTINGS_MODULE": "erip.settings.local"})
