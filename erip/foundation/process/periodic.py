"""A background duty: a function called again and again in a thread of its own, whatever it raises."""

import threading
from collections.abc import Callable

import structlog
from django.db import Error

from erip.foundation.db.connections import drop_connection, keep_connection
from erip.foundation.db.failures import is_transient

log = structlog.get_logger(__name__)


class Periodic:
    """Calls `duty` every `seconds` until `stop`. A lost connection is dropped and opened anew at the next call."""

    def __init__(self, name: str, seconds: float, duty: Callable[[], None]) -> None:
        self._name = name
        self._seconds = seconds
        self._duty = duty
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> "Periodic":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        keep_connection()
        while not self._stop.wait(self._seconds):
            try:
                self._duty()
            except Error as error:
                if is_transient(error):
                    log.warning("duty_delayed", duty=self._name, error=str(error).strip())
                else:
                    log.exception("duty_failed", duty=self._name)
                drop_connection()
            except Exception:
                log.exception("duty_failed", duty=self._name)
                drop_connection()
        drop_connection()
