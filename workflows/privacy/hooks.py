"""What the protection of sensitive data adds to the platform."""

from erip.foundation.hooks import append_only, confidential, kept, unrecorded
from workflows.privacy import sealing  # noqa: F401  (workers ask it)

append_only("privacy_erasure")
kept("privacy_datakey")
kept("privacy_hold")
confidential("privacy_datakey")
unrecorded(("privacy_runkey", "is written with the start of a run, which has an entry of its own"))
