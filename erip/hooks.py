"""What the project itself adds, after all apps: metrics of the database layer and of requests, and what Django's own
tables are for."""

from erip.foundation.db.metrics import REGISTRY as DATABASE
from erip.foundation.hooks import Recorded, append_only, confidential, looked_up, metrics, recorded, unrecorded
from erip.foundation.http.timing import REGISTRY as REQUESTS

metrics(DATABASE)
metrics(REQUESTS)

# Which migrations ran, and what permissions are called, is decided by migrations.
for table in ("django_migrations", "django_content_type", "auth_permission", "erip_backfill"):
    looked_up(table)
# Who did what in the admin.
append_only("django_admin_log")
for table in ("auth_user", "django_session"):
    confidential(table)

# What the audit log records of them. Names and addresses of people would stay in it for good.
recorded(Recorded("auth_user", hashed=("first_name", "last_name", "email"), without=("last_login",)))
for table in ("django_migrations", "django_content_type", "auth_permission"):
    unrecorded((table, "follows from the release"))
unrecorded(("erip_backfill", "how far a migration is, for each of its batches"))
unrecorded(("django_admin_log", "a log itself; the audit log says the same"))
unrecorded(("django_session", "a sign-in has an entry of its own"))
