"""Settings of the audit log."""

from .declared import Declarations
from .values import bucket_url, http_url, key_of_32_bytes, syslog

_env = Declarations("Audit log")

ERIP_AUDIT_KEY = _env.text(
    "ERIP_AUDIT_KEY",
    "",
    "32 bytes in base64 that sign checkpoints (Ed25519); give it to the leader alone. Without it the key follows from"
    " ERIP_SECRET_KEY ([the audit log](../how-to/audit.md#the-key)).",
    secret=True,
    form=key_of_32_bytes,
)
ERIP_AUDIT_CHECKPOINT_SECONDS = _env.number(
    "ERIP_AUDIT_CHECKPOINT_SECONDS",
    60.0,
    "Seconds between two signed checkpoints of the audit log.",
    above=0,
    most=86_400,
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
    form=syslog,
)
ERIP_AUDIT_WEBHOOK = _env.text(
    "ERIP_AUDIT_WEBHOOK",
    "",
    "A URL to which every checkpoint is posted; https, unless private targets are allowed.",
    secret=True,
    form=http_url,
)
ERIP_AUDIT_S3 = _env.text(
    "ERIP_AUDIT_S3",
    "",
    "A bucket with object lock that gets every checkpoint, `https://host/bucket/prefix`. The path names the bucket, not"
    " the host ([the audit log](../how-to/audit.md#a-bucket-that-keeps)).",
    form=bucket_url,
)
ERIP_AUDIT_S3_KEY_ID = _env.text(
    "ERIP_AUDIT_S3_KEY_ID", "", "The access key's ID for that bucket; it needs `s3:PutObject`, `s3:PutObjectRetention`,"
    " `s3:GetObjectRetention` and `s3:ListBucket`, and nothing else.",
)  # fmt: skip
ERIP_AUDIT_S3_SECRET = _env.text(
    "ERIP_AUDIT_S3_SECRET", "", "The access key's secret; give it to the leader alone.", secret=True
)
ERIP_AUDIT_S3_REGION = _env.text("ERIP_AUDIT_S3_REGION", "us-east-1", "The region of that bucket.")
ERIP_AUDIT_S3_DAYS = _env.whole(
    "ERIP_AUDIT_S3_DAYS",
    365,
    "Days for which that bucket keeps a checkpoint (mode COMPLIANCE). Nobody can make it less afterwards.",
    unit="days",
    least=1,
    most=36_500,
)
