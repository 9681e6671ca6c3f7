"""The admin's pages on who has access: users and groups here, and those of `admin_grants` and `admin_keys`."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from .admin_flags import FlagAdmin
from .admin_grants import GrantAdmin, RoleAdmin, SpaceAdmin
from .admin_keys import ApiKeyAdmin
from .admin_sessions import SignedInAdmin
from .policy import covers
from .principals import of_staff, rights_of
from .sign_in import factors, sessions, views
from .sign_in.providers import views as provider_views

__all__ = [
    "ApiKeyAdmin",
    "FlagAdmin",
    "GrantAdmin",
    "GroupAdmin",
    "RoleAdmin",
    "SignedInAdmin",
    "SpaceAdmin",
    "UserAdmin",
]

admin.site.index_template = "admin/access/home.html"
admin.site.login = views.login  # type: ignore[method-assign, assignment]
admin.site.logout = provider_views.logout  # type: ignore[method-assign, assignment]
admin.site.extra_urls = views.urls  # type: ignore[attr-defined]
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Users. Nobody can give themselves or others more rights than they have: only superusers give rights, and only
    they change superusers.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = ["end_sessions", "reset_second_factor"]
    dangerous = True

    def has_help_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("auth.change_user"))

    @action(description="End their sessions", permissions=["help"])
    def end_sessions(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        count = sum(sessions.end_all(user) for user in chosen if _may_touch(request, user))
        messages.success(request, f"Sessions that were ended: {count}.")

    @action(description="Remove second factors (lost ones)", permissions=["help"])
    def reset_second_factor(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        removed = [user.get_username() for user in chosen if _may_touch(request, user) and factors.remove(user)]
        messages.success(request, f"Their second factors are removed: {', '.join(removed) or 'nobody'}.")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        # A person is known by the username: whoever took another one could approve what they started themselves.
        fields = (*super().get_readonly_fields(request, obj), *(["username"] if obj is not None else []))
        return fields if request.user.is_superuser else (*fields, *_RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django would delete what they did in the admin with them, and PostgreSQL refuses that."""
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        acted = LogEntry.objects.filter(user__in=[user.pk for user in objs]).values_list("user__username", flat=True)
        stays = [f"what {name} did in the admin: clear “Active” instead" for name in sorted(set(acted))]
        return deleted, counts, lacking, [*protected, *stays]


#: what decides what a user may do
_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


def _may_touch(request: HttpRequest, user: Model | None) -> bool:
    """Who changes people can take their place: with a new password, or a new address of e-mail. So nobody touches
    somebody who may do more than they may."""
    if not isinstance(user, User) or request.user.is_superuser or user.pk == request.user.pk:
        return True
    if user.is_superuser:
        return False
    mine, theirs = of_staff(request.user), rights_of(user)
    return mine is not None and covers(mine, theirs.permissions.union(*theirs.within.values()))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Groups give rights, so only superusers change them."""

    dangerous = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser
