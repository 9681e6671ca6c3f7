"""What a log may contain: what happened and where, never users' data.

Note [No data in logs]. Logs go to many places, are read by many people, and stay. The text of an exception often quotes
the value that was wrong; PostgreSQL's DETAIL contains the row; an address contains tokens in its path and query. So:

- the text of an exception is shown if its class never quotes a value (`TELLING`), or PostgreSQL's SQLSTATE says that it
  is about the server and not about a value; otherwise the log has its class, the SQLSTATE, the names of the table and
  the constraint, and the traceback with its lines of code. The text itself is stored with the run, the delivery or the
  dead letter, for those who may read them. `ERIP_LOG_ERROR_TEXT=true` shows it in the log as well, for development;
- an address is shown without its query, its login and the token of a report;
- some libraries put what callers sent into their messages; of these only the message's pattern is shown
  (`PATTERN_ONLY`).

Code here passes the error itself to the log (`error=error`), and never its text.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Protocol

import django.db
import psycopg2
from django.core.exceptions import ImproperlyConfigured

from erip.foundation import redacting

ERROR_TEXT: Final = os.environ.get("ERIP_LOG_ERROR_TEXT", "").strip().lower() in ("1", "true", "yes", "on", "y", "t")
#: characters of an error's text
SHOWN: Final = 300
#: classes whose text is about the machine, the network or the code
TELLING: tuple[type[BaseException], ...] = (
    OSError,
    ImportError,
    NameError,
    AttributeError,
    NotImplementedError,
    MemoryError,
    RecursionError,
    ImproperlyConfigured,
    psycopg2.InterfaceError,
    django.db.InterfaceError,
)
#: packages whose errors are about themselves
_TELLING_PACKAGES: Final = ("redis.", "kombu.", "celery.", "amqp.", "billiard.", "gunicorn.")
#: classes of SQLSTATE that are about the server: connection, transaction, rollback, resources, intervention, system
_OF_THE_SERVER: Final = ("08", "25", "40", "53", "55", "57", "58", "F0", "XX")
#: loggers whose messages contain what callers sent
PATTERN_ONLY: Final = ("axes", "django.security", "celery.worker.consumer.consumer", "celery.app.trace")

_QUERY: Final = re.compile(r"\?[^\s\"'<>]*")
_LOGIN: Final = re.compile(r"(?<=://)[^/\s\"'@]+@")
_REPORT: Final = re.compile(r"(/reports/)[^\s\"'?]+")


class Logged(Protocol):
    """What code may work on."""

    def log_fields(self) -> Mapping[str, object]:
        """The fields that each log line gets meanwhile."""


#: What the code of this thread, or of this asyncio task, works on. Setting it costs less than 1 µs, as fields are only
#: made for a line that is logged.
working_on: ContextVar[Logged | None] = ContextVar("working_on", default=None)


def with_what_is_worked_on(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's processor: adds the fields of `working_on`. What the line says itself stands."""
    if (logged := working_on.get()) is not None:
        for name, value in logged.log_fields().items():
            event.setdefault(name, value)
    return event


def summary(error: BaseException) -> str:
    """One line about an error, safe to log."""
    name = type(error).__name__
    if ERROR_TEXT:
        return f"{name}: {_first_line(error)}"
    state = _sqlstate(error)
    if state is not None:
        named = _names(error)
        text = f": {_first_line(error)}" if state.startswith(_OF_THE_SERVER) else ""
        return f"{name} {state}{named}{text}"
    if _is_telling(error):
        return f"{name}: {shown(_first_line(error))}"
    return name


def shown(text: str) -> str:
    """A text with its addresses cut down to what a log may contain."""
    if "?" not in text and "@" not in text and "/reports/" not in text:
        return text
    return _QUERY.sub("?…", _LOGIN.sub("…@", _REPORT.sub(r"\1…", text)))


def trace_of(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    """A traceback of code alone, with `summary` in place of each exception's text."""
    if error is None:
        return ""
    parts: list[str] = []
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        frames = traceback.format_list(traceback.extract_tb(trace if each is error else each.__traceback__))
        parts.append("Traceback (most recent call last):\n" + "".join(frames) + summary(each))
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\n\nwhich came of this:\n\n".join(parts)


def without_data(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's processor: errors as `summary`, tracebacks as `trace_of`, texts as `shown`."""
    found = event.pop("exc_info", None)
    if found:
        kind, error, trace = _exc_info(found)
        if error is not None:
            event["exception"] = trace_of(kind, error, trace)
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = summary(value)
        elif isinstance(value, str) and name != "exception":
            event[name] = shown(value)
    return event


def without_secrets(_logger: object, _method: str, line: str) -> str:
    """structlog's processor, after the line is rendered: strikes out what this process was given as secrets, and what
    the attempt that logs it was given as sensitive data."""
    return _struck(line)


def _struck(text: str) -> str:
    own: redacting.Struck | None = getattr(working_on.get(), "struck", None)
    return redacting.strike(text if own is None else own.text(text))


class WithoutData(logging.Filter):
    """For handlers: what libraries log, before message and arguments are combined."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, BaseException):
            record.msg, record.args = summary(record.msg), ()
        if record.name.startswith(PATTERN_ONLY):
            lines = [line for line in str(record.msg).splitlines() if line.strip()]
            # Without arguments nothing is filled in, and the pattern stays as it is.
            record.msg, record.args = lines[0].strip() if lines else "", ()
        elif isinstance(record.args, tuple):
            record.args = tuple(summary(one) if isinstance(one, BaseException) else one for one in record.args)
        return True


class Formatter(logging.Formatter):
    """For logs that are not JSON."""

    def format(self, record: logging.LogRecord) -> str:
        WithoutData().filter(record)
        return _struck(shown(super().format(record)))

    def formatException(self, ei: Any) -> str:
        return trace_of(*ei)


def install_hooks() -> None:
    """An uncaught error is logged in the same way; at a terminal it is shown whole."""
    if sys.stderr is None or sys.stderr.isatty():
        return

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        print(redacting.strike(trace_of(kind, error, trace)), file=sys.stderr)

    def uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
            told = trace_of(found.exc_type, found.exc_value, found.exc_traceback)
            print(redacting.strike(told), file=sys.stderr)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread


def _is_telling(error: BaseException) -> bool:
    own: bool | None = getattr(error, "says_no_data", None)
    if own is not None:
        return own
    if (type(error).__module__ + ".").startswith(_TELLING_PACKAGES):
        return True
    # Without a SQLSTATE it is the client library's own message about a connection.
    return isinstance(error, (*TELLING, psycopg2.OperationalError, django.db.OperationalError))


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from: Django's and psycopg2's own."""
    found: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in found:
        found.append(each)
        each = each.__cause__
    return found


def _sqlstate(error: BaseException) -> str | None:
    if not isinstance(error, psycopg2.Error | django.db.Error):
        return None
    return next((str(code) for one in _chain(error) if (code := getattr(one, "pgcode", None))), None)


def _names(error: BaseException) -> str:
    """The table and the constraint that the error is about; their names are ours, so they may be shown."""
    for one in _chain(error):
        diagnosis = getattr(one, "diag", None)
        words = [getattr(diagnosis, name, None) for name in ("table_name", "column_name", "constraint_name")]
        if any(words):
            return f" ({', '.join(word for word in words if word)})"
    return ""


def _first_line(error: BaseException) -> str:
    # Before it is cut: half a secret would not be found.
    text = _struck(str(error).strip())
    return text.splitlines()[0][:SHOWN] if text else ""


def _exc_info(found: Any) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
    if isinstance(found, BaseException):
        return type(found), found, found.__traceback__
    if isinstance(found, tuple):
        return found[0], found[1], found[2]
    return sys.exc_info()
