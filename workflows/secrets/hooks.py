"""What secrets add to the platform."""

from erip.foundation.hooks import Link, Menu, confidential, menu
from workflows.secrets import resolving  # noqa: F401  (workers ask it)

menu(Menu("Access", (Link("Secrets", "key", "admin:secrets_secret_changelist", "secrets.view_secret"),), place=90))
confidential("secrets_secret")
