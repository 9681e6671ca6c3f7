"""What the risk library knows of a run, for its page in the admin: its reports."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import reverse

from erip.foundation.hooks import Related, related_to_run
from workflows.library.models import Report

#: of one run
MOST = 5


@related_to_run
def reports(request: Any, run: Mapping[str, Any]) -> Iterator[Related]:
    if not request.user.has_perm("library.view_report"):
        return
    for pk, title in Report.objects.filter(run_id=run["id"]).values_list("pk", "title")[:MOST]:
        yield Related(f"Report: {title}", reverse("admin:library_report_open", args=[pk]))
