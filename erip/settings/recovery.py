"""Settings of backups and of drills."""

from .declared import CALL, Declarations

_env = Declarations("Backups")

ERIP_BACKUP_CONFIG: list[str] = _env.items(
    "ERIP_BACKUP_CONFIG",
    [],
    "The files `pgbackrest.conf` of PostgreSQL's nodes that this host reaches ([backups](../how-to/backups.md)); the"
    " one whose PostgreSQL is the primary is used.",
    applies=CALL,
)
ERIP_BACKUP_STANZA = _env.text("ERIP_BACKUP_STANZA", "erip", "The name of the cluster in the repository.", applies=CALL)
ERIP_BACKUP_FILES: list[str] = _env.items(
    "ERIP_BACKUP_FILES",
    [],
    "Files and folders that are sealed beside each backup, with the reports: absolute paths, no key-encryption keys.",
    applies=CALL,
)
ERIP_BACKUP_FILES_TO = _env.text(
    "ERIP_BACKUP_FILES_TO", "", "The folder of the sealed archives; empty: none is made.", applies=CALL
)
ERIP_BACKUP_PASS = _env.text(
    "ERIP_BACKUP_PASS",
    "",
    "What the sealed archives are encrypted with: 16 characters or more.",
    secret=True,
    applies=CALL,
)
ERIP_BACKUP_KEYS_KEPT: list[str] = _env.items(
    "ERIP_BACKUP_KEYS_KEPT",
    [],
    "Fingerprints of the keys of which a copy is kept elsewhere, as `manage.py backup keys` prints them; the doctor asks"
    " for the others.",
    applies=CALL,
)
ERIP_BACKUP_MAX_AGE_HOURS = _env.number(
    "ERIP_BACKUP_MAX_AGE_HOURS", 26.0, "Hours after which the newest backup is too old.", unit="hours", above=0
)
ERIP_DRILL_MAX_AGE_DAYS = _env.number(
    "ERIP_DRILL_MAX_AGE_DAYS", 92.0, "Days after which the last drill is too long ago.", unit="days", above=0
)
ERIP_PARKED = _env.flag(
    "ERIP_PARKED",
    False,
    "Whether a process may reach nothing but its database and its broker, as in a drill: no webhook, mail or alert leaves"
    " it.",
)
