"""What a request or task has written or seen goes on with the tasks that it sends: each task is a scope of its own.

A task of a scope that wrote reads from the primary: asking for the log position at each message would cost a round trip
for tasks that mostly read from the primary anyway.
"""

from contextlib import ExitStack
from typing import Any

from celery import signals
from django.conf import settings

from erip.foundation.db import consistency

KEY = "erip_consistency"


@signals.before_task_publish.connect(weak=False)
def send_along(headers: dict[str, Any] | None = None, **_: Any) -> None:
    scope = consistency.current()
    if headers is None or scope is None or not settings.ERIP_REPLICAS:
        return
    token = consistency.PRIMARY if scope.wrote else scope.token
    if token is not None:
        headers[KEY] = token


@signals.task_prerun.connect(weak=False)
def begin(task: Any = None, **_: Any) -> None:
    if not settings.ERIP_REPLICAS:
        return
    request = task.request
    token = (request.get("headers") or {}).get(KEY) or request.get(KEY)
    stack = ExitStack()
    stack.enter_context(consistency.scope(token if isinstance(token, str) and consistency.is_token(token) else None))
    request.erip_scope = stack


@signals.task_postrun.connect(weak=False)
def end(task: Any = None, **_: Any) -> None:
    stack = getattr(task.request, "erip_scope", None)
    if stack is not None:
        task.request.erip_scope = None
        stack.close()
