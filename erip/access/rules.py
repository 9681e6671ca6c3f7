"""What each operation needs: named permissions (`catalog`), and the smallest of the five scopes of API keys that has
them.

Apps state their rules where their operations are (`permissions.requires`); this package knows nothing of their domain.
"""

from dataclasses import dataclass

from .scopes import Scope


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do something.

    scope: the smallest scope of an API key that has the permissions; a test compares it with them
    permissions: `app.codename` of every permission that the caller needs; none: only who may do everything
    """

    scope: Scope
    permissions: tuple[str, ...] = ()


#: the rule that applies where none is stated
NOBODY_ELSE = Rule(Scope.ADMIN)
