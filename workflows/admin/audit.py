"""The audit log, to look at. It proves nothing by itself: docs/how-to/audit.md."""

from typing import Any

import orjson
from django.contrib import admin
from django.core.paginator import Paginator
from django.utils.functional import cached_property
from unfold.decorators import display

from erip.audit.models import Entry
from erip.audit.reading import told
from workflows.admin.base import ShowOnly

#: entries that can be paged through; searches go further back
MOST = 10_000


class Newest(Paginator):
    """Counts no further than MOST: counting ten million entries takes seconds."""

    @cached_property
    def count(self) -> int:
        found: Any = self.object_list
        return int(found.order_by()[:MOST].count())


@admin.register(Entry)
class EntryAdmin(ShowOnly):
    list_display = ["at", "principal", "action", "object", "reason", "kind"]
    fields = ["at", "kind", "principal", "action", "object", "role", "xid", "text"]
    readonly_fields = fields
    list_filter = ["kind"]
    search_fields = ["principal__exact", "object__exact", "action__exact"]
    search_help_text = "A whole principal (key:…, user:…), object (runs/<id>) or action."
    paginator = Newest
    show_full_result_count = False
    list_fullwidth = True

    @display(description="Reason")
    def reason(self, entry: Entry) -> str:
        return str(self._body(entry).get("reason", ""))[:200]

    @display(description="Entry")
    def text(self, entry: Entry) -> str:
        return orjson.dumps(self._body(entry), option=orjson.OPT_INDENT_2).decode()

    @staticmethod
    def _body(entry: Entry) -> dict[str, Any]:
        return told(entry.body, entry.changes)
