"""Who is calling, in the one shape that permissions and the engine's audit fields see."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from .scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that proved who it is.

    name: `key:<name of the API key>` or `user:<username>`; recorded with what the caller does
    scope: the most that the caller may do
    """

    name: str
    scope: Scope

    # What Django, REST framework and django-structlog read from `request.user`.
    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False

    @property
    def pk(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


def of_staff(user: AbstractBaseUser | AnonymousUser) -> Principal | None:
    """The principal of a signed-in member of staff, else None.

    The permissions that open a page of the admin give the scope that opens its counterpart in the API:
    publishing (`add_workflowversion`) is author, changing runs (`change_workflowrun`) is operator.
    """
    if not isinstance(user, PermissionsMixin) or not user.is_active or not getattr(user, "is_staff", False):
        return None
    scope = Scope.VIEWER
    if user.is_superuser:
        scope = Scope.ADMIN
    elif user.has_perm("workflows.add_workflowversion"):
        scope = Scope.AUTHOR
    elif user.has_perm("workflows.change_workflowrun"):
        scope = Scope.OPERATOR
    return Principal(name=f"user:{user.get_username()}", scope=scope)
