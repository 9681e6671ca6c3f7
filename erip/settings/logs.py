"""Structured logs: one JSON line an event, without the data of users (`erip.foundation.logs`)."""

import logging
from typing import Any

import structlog

from erip.foundation.logs import install_hooks, with_what_is_worked_on, without_data, without_secrets


def of_callers(record: logging.LogRecord) -> bool:
    """What Django calls suspicious (a strange host, a field that an address of the admin must not name) is a caller's
    mistake: a line, and no traceback. Returns True: it is logged."""
    if record.name.startswith("django.security") and record.exc_info:
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    with_what_is_worked_on,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                without_data,
                structlog.processors.JSONRenderer(),
                without_secrets,
            ],
            "foreign_pre_chain": _SHARED,
        }
    },
    "filters": {
        "of_callers": {"()": lambda: of_callers},
        "without_data": {"()": "erip.foundation.logs.WithoutData"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["of_callers", "without_data"]}
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # A line for each request doubles the work of a cheap request; failures are still logged.
        "django_structlog": {"level": "ERROR"},
        # A client's mistake is the client's to see.
        "django.request": {"level": "ERROR"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        # It logs each address that it calls.
        "httpx": {"level": "WARNING"},
    },
}


def configure_structlog() -> None:
    """Send structlog's events through the standard library's handlers."""
    install_hooks()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
