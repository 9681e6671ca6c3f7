"""What the risk library adds to the platform."""

from erip.foundation.hooks import (
    Link,
    Menu,
    Pages,
    Recorded,
    append_only,
    confidential,
    menu,
    pages,
    recorded,
    shipped,
    unrecorded,
)
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
            Link("Assets", "dns", "admin:library_asset_changelist", "library.view_asset"),
            Link("Reports", "description", "admin:library_report_changelist", "library.view_report"),
        ),
        place=30,
    )
)
append_only("library_decisionversion")
# Who has the link may read the report.
confidential("library_reportlink")
# Some of the addresses are secrets: whoever knows one may post to a chat.
recorded(Recorded("library_notificationtarget", hashed=("address",)))
for table in ("library_report", "library_delivery"):
    unrecorded((table, "what a step made; its run's journal has it"))
for table in ("library_keventry", "library_loadedreference", "library_referenceversion"):
    unrecorded((table, "contents of a catalogue that is recorded as a whole, with its SHA-256"))
