"""What may be done with the audit log, and the built-in roles that may do it."""

from erip.access.catalog import AUDITORS, permission

permission("audit.view_entry", "search the audit log", AUDITORS)
