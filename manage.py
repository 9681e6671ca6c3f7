#!/usr/bin/env python
"""Django's command line for ERIP."""

import os
import sys

from django.core.management import execute_from_command_line

import erip.foundation.structlog_alone  # noqa: F401  (first: it says why)
from erip.audit.commands import audited


def main() -> None:
    """A value that cannot be one, a file that cannot be read, a database that is away: one line, and exit code 1.
    Settings that are wrong: a line each. `--traceback` shows where. Any other error is ours, and is shown with its
    traceback in any case."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.local")
    try:
        with audited(sys.argv):
            execute_from_command_line(sys.argv)
    except Exception as error:
        # Only now: it needs what the settings may have failed to load.
        from django.db import Error

        from erip.foundation.db.failures import said
        from erip.settings.declared import SettingsError

        if isinstance(error, SettingsError) and "--traceback" not in sys.argv:
            sys.stderr.write("Settings that are wrong:\n" + "".join(f"  {fault}\n" for fault in error.faults))
            sys.exit(1)
        if "--traceback" in sys.argv or not isinstance(error, Error | OSError | OverflowError | UnicodeError):
            raise
        sys.stderr.write(f"{said(error)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
