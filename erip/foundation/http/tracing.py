"""Logs the client's address with its request: an address that only an untrusted caller's header claims is not logged as
if it were known (Note [Client address] in `addresses`)."""

from typing import Any

import structlog
from django.dispatch import receiver
from django.http import HttpRequest
from django_structlog import signals

from .addresses import client_address


@receiver(signals.bind_extra_request_metadata)
def bind_address(request: HttpRequest, **_: Any) -> None:
    structlog.contextvars.bind_contextvars(ip=client_address(request))
