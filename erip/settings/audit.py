"""Settings of the audit log."""

from .declared import Declarations

_env = Declarations("Audit log")

ERIP_AUDIT_KEY = _env.text(
    "ERIP_AUDIT_KEY",
    "",
    "32 bytes in base64 that sign checkpoints (Ed25519); give it to the leader alone. Without it the key follows from"
    " ERIP_SECRET_KEY ([the audit log](../how-to/audit.md#the-key)).",
    secret=True,
)
ERIP_AUDIT_CHECKPOINT_SECONDS = _env.number(
    "ERIP_AUDIT_CHECKPOINT_SECONDS", 60.0, "Seconds between two signed checkpoints of the audit log."
)
ERIP_AUDIT_FILE = _env.text(
    "ERIP_AUDIT_FILE",
    "",
    "A file to which the leader appends every checkpoint, on a disk that the database cannot reach.",
)
ERIP_AUDIT_SYSLOG = _env.text(
    "ERIP_AUDIT_SYSLOG",
    "",
    "A syslog server that gets every checkpoint: `udp://host:514`, `tcp://host:601`, or the path of a socket.",
)
ERIP_AUDIT_WEBHOOK = _env.text(
    "ERIP_AUDIT_WEBHOOK",
    "",
    "A URL to which every checkpoint is posted; https, unless private targets are allowed.",
    secret=True,
)
