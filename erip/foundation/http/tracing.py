"""The client's address beside what is logged of its request: what the header says of an untrusted caller is not logged
as if it were known (Note [Client address] in `addresses`)."""

from typing import Any

import structlog
from django.dispatch import receiver
from django.http import HttpRequest
from django_structlog import signals

from .addresses import client_address


@receiver(signals.bind_extra_request_metadata)
def bind_address(request: HttpRequest, **_: Any) -> None:
    structlog.contextvars.bind_contextvars(ip=client_address(request))
