"""What the audit log adds to the platform."""

from erip.audit import signing_in  # noqa: F401  (it listens)
from erip.audit.light import audited
from erip.audit.sealer import REGISTRY
from erip.foundation.hooks import light_door, metrics

metrics(REGISTRY)
light_door(audited)
