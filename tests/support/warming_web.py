"""gunicorn as the platform configures it, whose processes note what they do before they serve; one thing fails."""

import os
import socket
from pathlib import Path
from typing import Any

from erip.foundation import hooks
from erip.gunicorn import *  # noqa: F403  (a configuration is a module's names)

NOTED = Path(os.environ["TEST_NOTED"])


def post_fork(server: Any, _: Any) -> None:
    (address,) = server.cfg.address

    def fails() -> None:
        raise ValueError("a loader of an app is at fault")

    def looks() -> None:
        with socket.socket() as link:
            NOTED.write_text(f"{link.connect_ex(address)}")

    hooks.at_web_start(looks)
    hooks.at_web_start(fails)
