"""What the audit log adds to the platform."""

from erip.audit import signing_in  # noqa: F401  (it listens)
from erip.audit.light import audited
from erip.audit.sealer import REGISTRY
from erip.foundation.hooks import append_only, light_door, metrics

metrics(REGISTRY)
light_door(audited)
for table in ("audit_entry", "audit_block", "audit_checkpoint"):
    append_only(table)
