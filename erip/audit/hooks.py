"""What the audit log adds to the platform."""

from erip.audit import (
    refusals,
    signing_in,  # noqa: F401  (it listens)
)
from erip.audit.sealer import REGISTRY
from erip.foundation.hooks import (
    Link,
    Menu,
    append_only,
    confidential,
    light_door,
    menu,
    metrics,
    refused_at_door,
    unchanging,
    unrecorded,
)

metrics(REGISTRY)
light_door("erip.audit.light.audited")
refused_at_door(refusals.at_door)
for table in ("audit_entry", "audit_block", "audit_checkpoint"):
    append_only(table)
    unrecorded((table, "the log itself"))
unchanging("audit_salt")
confidential("audit_salt")
unrecorded(("audit_salt", "salts of what is recorded"))
menu(Menu("Access", (Link("Audit log", "policy", "admin:audit_entry_changelist", "audit.view_entry"),), place=90))
