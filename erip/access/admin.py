"""The admin's pages on who has access: API keys, users and groups."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextareaWidget

from . import keys
from .admin_grants import GrantAdmin, RoleAdmin, SpaceAdmin
from .catalog import permissions_of
from .models import ApiKey
from .origins import source_fault, type_fault
from .policy import covers
from .principals import of_staff, rights_of
from .scopes import Scope

__all__ = ["ApiKeyAdmin", "GrantAdmin", "GroupAdmin", "RoleAdmin", "SpaceAdmin", "UserAdmin"]

admin.site.index_template = "admin/access/home.html"
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

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
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

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


#: the fields of a key that can be changed
_BOUND_BY = ("sources", "types")


class PatternsField(SimpleArrayField):
    """Patterns, one on each line: a URI may hold a comma."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})
        line = forms.CharField(required=False, max_length=max_length)
        super().__init__(line, delimiter="\n", widget=widget, required=False, **options)

    def clean(self, value: Any) -> list[str]:
        return [line for line in super().clean(value) if line]


class ApiKeyForm(forms.ModelForm):
    sources = PatternsField(
        max_length=1024,
        initial=["*"],
        help_text="Sources of events that it may send, one a line: a source, or the beginning of one and *. A source "
        "that is named here is closed to keys with * alone. Nothing: it sends no events.",
    )
    types = PatternsField(
        max_length=255,
        initial=["*"],
        help_text="Types of events that it may send, one a line: a type, or the beginning of one and *.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scope", "expires_at", "sources", "types"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("Use printable characters.")
        return name

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        for field, fault_of in (("sources", source_fault), ("types", type_fault)):
            for pattern in cleaned.get(field, []):
                if fault := fault_of(pattern):
                    self.add_error(field, f"{pattern[:100]}: {fault}")
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """A key is shown once, when it is made; after that it can only be revoked, or bound to other sources and types."""

    form = ApiKeyForm
    list_display = [
        "name",
        "scope",
        "sources",
        "types",
        "status",
        "created_at",
        "created_by",
        "last_used_at",
        "expires_at",
    ]
    list_filter = ["scope"]
    search_fields = ["name", "prefix"]
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        if obj is None:
            return ["name", "scope", "expires_at", "sources", "types"]
        return [
            "name",
            "prefix",
            "scope",
            "sources",
            "types",
            "status",
            "created_at",
            "created_by",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [] if obj is None else [name for name in self.get_fields(request, obj) if name not in _BOUND_BY]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("access.delete_apikey"))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # Nobody can give more rights than they have.
        if db_field.name == "scope" and (caller := of_staff(request.user)) is not None:
            given = [(s.value, s.label) for s in Scope if covers(caller, permissions_of(s.role))]
            kwargs["choices"] = [("", "Only what it is granted"), *given]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    @display(description="Status", label={"usable": "success", "revoked": "danger", "expired": "warning"})
    def status(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "usable" if key.is_usable(timezone.now()) else "expired"

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        if change:
            keys.bind(obj.prefix, sources=obj.sources, types=obj.types)
            return
        made = keys.create(
            name=obj.name,
            scope=Scope(obj.scope) if obj.scope else "",
            expires_at=obj.expires_at,
            sources=obj.sources,
            types=obj.types,
            created_by=f"user:{request.user.get_username()}",
        )
        obj.pk, obj.prefix = made.row.pk, made.row.prefix
        request.made_key = made  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        # In the answer itself: a message would keep the secret in a cookie or a session until it is shown.
        context = {
            **self.admin_site.each_context(request),
            "title": "A new API key",
            "opts": self.opts,
            "made": request.made_key,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/access/apikey_created.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    @action(description="Revoke selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        count = sum(keys.revoke(key.prefix) for key in chosen)
        messages.success(request, f"{count} {'key was' if count == 1 else 'keys were'} revoked.")
