"""The roles of this installation, and what the apps say about their tables."""

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS

from erip.access.tables import rules
from erip.foundation import hooks
from erip.foundation.db import roles
from erip.foundation.db.privileges import Roles


def unknown_tables() -> list[str]:
    """Tables that an app names and no model has: a slip of the pen would leave the real one open."""
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {"django_migrations"}
    return sorted(rules().names() - tables)


def of_settings() -> Roles:
    """The roles that DATABASE_URL and DATABASE_OWNER_URL name. Raises CommandError when there is one role for both."""
    owner = (settings.ERIP_DATABASE_OWNER or {}).get("USER", "")
    app = settings.DATABASES[DEFAULT_DB_ALIAS]["USER"]
    if not owner or owner == app:
        raise CommandError(
            "There is one role for everything: set DATABASE_OWNER_URL to the database's owner, another role than that "
            "of DATABASE_URL."
        )
    return roles.known(owner, app)


def apply() -> list[str]:
    """Bring all privileges in line. Returns the statements that were needed. Raises CommandError, DatabaseError."""
    if unknown := unknown_tables():
        raise CommandError(f"hooks name tables that do not exist: {', '.join(unknown)}")
    ours = of_settings()
    with roles.as_owner():
        return roles.apply(ours, rules(), hooks.as_owner.all())


def is_split() -> bool:
    """Whether the application's role is another one than the owner."""
    owner = settings.ERIP_DATABASE_OWNER
    return owner is not None and owner.get("USER") != settings.DATABASES[DEFAULT_DB_ALIAS].get("USER")
