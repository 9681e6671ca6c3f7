"""beacon.report and beacon.draft_notices"""

from datetime import UTC, datetime

from django.conf import settings

from workflows.core.graph import Retry
from workflows.library.beacon import data as store
from workflows.library.beacon import links, notices, render
from workflows.library.beacon.contract import NoticesInput, NoticesOutput, ReportInput, ReportOutput
from workflows.registry import StepContext, step


@step(
    "beacon.report",
    timeout=30.0,
    retry=Retry(max_attempts=3),
    summary="A report in HTML and Markdown, with a link to share it by",
)
def report(data: ReportInput, ctx: StepContext) -> ReportOutput:
    origin = render.Origin(ctx.run_id, ctx.workflow, ctx.business_key, ctx.run_created_at)
    html, markdown = render.pages(data, origin)
    title = render.title_of(data, origin)
    stored = store.save(
        key=ctx.idempotency_key,
        run_id=ctx.run_id,
        workflow=ctx.workflow,
        title=title,
        html=html,
        markdown=markdown,
        # Counted from when it is made: a final report may come months after the run began. A later attempt gets the
        # link that the first one made, with its date.
        expires_at=datetime.now(UTC) + store.lifetime(),
    )
    path = markdown_path = None
    note = ""
    name = ctx.step if ctx.item is None else f"{ctx.step}-{ctx.item}"
    try:
        html_file, markdown_file = store.write_files(ctx.run_id, name, html, markdown)
        path, markdown_path = str(html_file), str(markdown_file)
    except OSError as error:
        # The database already has the report; a full disk must not make a breach response fail.
        note = f"the report is stored, but its files could not be written: {error.strerror or error}"
    return ReportOutput(
        report_id=str(stored.report),
        title=title,
        url=f"{settings.ERIP_PUBLIC_URL}/reports/{links.write(stored.link, stored.expires_at)}",
        expires_at=stored.expires_at,
        path=path,
        markdown_path=markdown_path,
        sha256=stored.sha256,
        note=note,
    )


@step(
    "beacon.draft_notices",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="Drafts of the notifications that are due, with what the law asks for; nothing is sent",
)
def draft_notices(data: NoticesInput) -> NoticesOutput:
    return notices.drafts(data)
