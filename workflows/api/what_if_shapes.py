"""What both what-ifs of the API read and answer with."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rest_framework import serializers
from rest_framework.response import Response

from erip.foundation.faults import Fault
from erip.foundation.http.fields import Choice, Moment, StrictSerializer, Text
from erip.foundation.http.problems import Unprocessable
from workflows.replay.pages import Against, CursorInvalid, Page

#: how far back runs are looked at, if nothing else is asked
DAYS: Final = 30
PAGED: Final = (
    "Nothing is stored, started or sent. Oldest runs first, `limit` runs or about five seconds at once; follow "
    "`next_cursor` until it is null."
)


class Asked(StrictSerializer):
    """Which runs are looked at."""

    against = Choice(Against, required=False, default="past", help_text="Runs that have ended, that have not, or all.")
    since = Moment(required=False, help_text=f"Only runs created at this moment or later. Default: {DAYS} days ago.")
    cursor = Text(required=False, min_length=1, max_length=60, help_text="`next_cursor` of the page before.")


class Compared(serializers.Serializer[Any]):
    """A page."""

    compared = serializers.IntegerField(help_text="Runs of this page, or their decisions.")
    different = serializers.IntegerField(help_text="Those of them that would be others.")
    unknown = serializers.IntegerField(help_text="Those with something that is not known.")
    next_cursor = serializers.CharField(allow_null=True)


def answered(page_of: Callable[..., Page[Any]], body: dict[str, Any]) -> Response:
    """The page that was asked for. page_of: takes against, since, cursor and limit. Raises Unprocessable."""
    since = body.get("since", datetime.now(UTC) - timedelta(days=DAYS))
    try:
        page = page_of(
            against=Against(body["against"]), since=since, cursor=body.get("cursor"), limit=body["limit"]
        )  # fmt: skip
    except CursorInvalid as error:
        raise Unprocessable([Fault("cursor", str(error))]) from None
    return Response(page.document())
