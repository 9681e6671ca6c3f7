"""What the risk library adds to the platform."""

from erip.foundation.hooks import Link, Menu, Pages, append_only, confidential, menu, pages, shipped
from workflows.library import related, times, warm  # noqa: F401  (their own hooks)
from workflows.library.beacon import expiring  # noqa: F401  (its own hooks)
from workflows.library.shipping import obligations, tables

for source in (tables.SOURCE, obligations.SOURCE):
    shipped(source)
pages(Pages("reports/", "workflows.library.urls"))
menu(
    Menu(
        "Risk library",
        (
            Link("Obligations", "gavel", "admin:library_obligation_changelist", "library.view_obligation"),
            Link(
                "Decision tables", "table_chart", "admin:library_decisiontable_changelist", "library.view_decisiontable"
            ),
            Link("Assets", "dns", "admin:library_asset_changelist", "library.view_asset"),
            Link("Reports", "description", "admin:library_report_changelist", "library.view_report"),
        ),
        place=30,
    )
)
append_only("library_decisionversion")
# Who has the link may read the report.
confidential("library_reportlink")
