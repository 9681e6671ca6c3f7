"""What the pages share: they are read-only, and show states, times and JSON in the same way."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from erip.foundation.db.router import reads_from_replica
from workflows.core.states import RunState, StepState
from workflows.errors import WorkflowsError

#: the colour of a state's label
COLOURS: dict[str, str] = {
    RunState.PENDING: "default",
    RunState.RUNNING: "info",
    RunState.WAITING: "warning",
    RunState.PAUSED: "warning",
    RunState.COMPENSATING: "warning",
    RunState.SUCCEEDED: "success",
    RunState.FAILED: "danger",
    RunState.CANCELLED: "default",
    RunState.TIMED_OUT: "danger",
    StepState.READY: "info",
    StepState.UNKNOWN: "danger",
    StepState.SKIPPED: "default",
}


class ShowOnly(ModelAdmin):
    """Shows rows; the rows are changed by the engine alone."""

    # They count all rows for each value of each filter.
    show_facets = ShowFacets.NEVER

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "GET":
            return super().changelist_view(request, extra_context)  # type: ignore[no-any-return]
        return _list(super().changelist_view, request, extra_context)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@reads_from_replica
def _list(view: Any, request: HttpRequest, extra_context: dict[str, Any] | None) -> HttpResponse:
    response: HttpResponse = view(request, extra_context)
    # The page reads its rows while it is rendered.
    return response.render() if isinstance(response, TemplateResponse) else response


def principal_of(request: HttpRequest) -> str:
    """The name under which the engine records what a member of staff does."""
    return f"user:{request.user.get_username()}"


def json_block(value: Any) -> SafeString | str:
    """JSON, indented."""
    if value is None:
        return "-"
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()
    return format_html('<pre class="erip-code">{}</pre>', text)


def moment(value: datetime | None) -> str:
    """A time to the second, in the reader's time zone."""
    return date_format(timezone.localtime(value), "DATETIME_FORMAT") if value else "-"


def clock(value: datetime | None) -> str:
    """A time of day to the millisecond, so that the order of events shows."""
    return timezone.localtime(value).strftime("%H:%M:%S.%f")[:-3] if value else "-"


def span(started: datetime | None, finished: datetime | None) -> str:
    """How long something took."""
    if started is None or finished is None:
        return "-"
    seconds = (finished - started).total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f}\u00a0ms"
    if seconds < 120:
        return f"{seconds:.1f}\u00a0s"
    return f"{seconds / 60:.0f}\u00a0min"


#: refusals that are shown one by one
_SHOWN = 5


def for_each(
    request: HttpRequest,
    chosen: Iterable[Any],
    do: Callable[[Any], Any],
    done: Callable[[int], str] | None = None,
    *,
    named: bool = False,
) -> list[Any]:
    """Do something with each of the chosen rows. Returns the results.

    What an operation refuses is shown as a warning and does not stop the others (the first few one by one, the rest as
    a number).

    done: the sentence about so many of them; None: nothing is said. named: a warning names the row.
    """
    results, refused = [], 0
    for one in list(chosen):
        try:
            results.append(do(one))
        except WorkflowsError as error:
            refused += 1
            if refused <= _SHOWN:
                messages.warning(request, f"{one}: {error}" if named else str(error))
    if refused > _SHOWN:
        messages.warning(request, f"{refused - _SHOWN} more were refused.")
    if results and done:
        messages.success(request, done(len(results)))
    return results
