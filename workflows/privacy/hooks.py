"""What the protection of sensitive data adds to the platform."""

from erip.foundation.hooks import Recorded, append_only, confidential, kept, recorded, unrecorded
from workflows.privacy import sealing  # noqa: F401  (workers ask it)

append_only("privacy_erasure")
kept("privacy_datakey")
kept("privacy_hold")
confidential("privacy_datakey")
# A key is made with the first run of its subject; that it was destroyed is what counts.
recorded(Recorded("privacy_datakey", hashed=("subject",), verbs=("UPDATE", "DELETE")))
unrecorded(("privacy_runkey", "is written with the start of a run, which has an entry of its own"))
