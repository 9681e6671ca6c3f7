"""The web process for tests: the real ASGI application under uvicorn, on a free port, in a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


def without_light_path() -> Any:
    """The application as it would be without erip.foundation.http.light: Django answers everything."""
    from erip.access import callers
    from erip.asgi import django
    from erip.foundation.http.door import Door

    return Door(django, callers)


@contextmanager
def serving(app: Any = None) -> Iterator[str]:
    """The base URL of a server that runs until the block ends. app: in place of the whole application."""
    from erip.asgi import application

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app or application, log_level="warning", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the web server did not start")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
