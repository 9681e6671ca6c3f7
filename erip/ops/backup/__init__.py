"""Backups of PostgreSQL, made by pgBackRest, and what stands beside PostgreSQL.

Note [What a backup holds]
PostgreSQL holds the truth, so its backup is the backup: full copies, and the write-ahead log since them, encrypted with
a pass of their own. Redis needs none. Three things stand outside of it:

- files: reports and what ERIP_BACKUP_FILES names. They go into a sealed archive (`sealed`), made with each backup.
- key-encryption keys and ERIP_SECRET_KEY. They are in no archive of ours: one that held the data and its keys would
  undo every erasure, because an erased person is a key that is gone (Note [Erasure] in `workflows.privacy.persons`).
  A drill opens a data key of each of them in what was restored, and so says which one is missing; the doctor asks for
  those that nobody says are kept elsewhere (ERIP_BACKUP_KEYS_KEPT).
- the cipher pass itself, and the authorities' keys: of both the documentation says where they belong.
"""
