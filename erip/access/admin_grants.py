"""The admin's pages of roles, grants and spaces. Nobody hands on more than they have."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from . import granting
from .catalog import declared
from .models import Grant, Role, Space
from .principals import of_staff


class RoleForm(forms.ModelForm):
    permissions = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What the role may do.",
    )

    class Meta:
        model = Role
        fields = ["name", "description", "permissions"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["permissions"].choices = [(one.name, f"{one.name}: {one.meaning}") for one in declared()]  # type: ignore[attr-defined]


@admin.register(Role)
class RoleAdmin(ModelAdmin):
    """Own roles. The built-in ones are in the documentation, and change only with a release."""

    form = RoleForm
    dangerous = True
    list_display = ["name", "description", "size", "changed_by", "changed_at"]
    search_fields = ["name", "description"]

    @display(description="Permissions")
    def size(self, role: Role) -> int:
        return len(role.permissions)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        # A grant names its role, so that a role keeps its name.
        return [] if obj is None else ["name"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)

        class Bounded(form):  # type: ignore[misc,valid-type]
            def clean(self) -> Any:
                cleaned = super().clean() or self.cleaned_data
                name = obj.name if obj is not None else cleaned.get("name", "")
                for fault in granting.role_faults(of_staff(request.user), name, cleaned.get("permissions", [])):
                    self.add_error(None, fault)
                return cleaned

        return Bounded

    def save_model(self, request: HttpRequest, obj: Role, form: forms.ModelForm, change: bool) -> None:
        obj.changed_by, obj.changed_at = f"user:{request.user.get_username()}", timezone.now()
        super().save_model(request, obj, form, change)
        granting.changed()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        granted = isinstance(obj, Role) and Grant.objects.filter(role=obj.name).exists()
        return super().has_delete_permission(request, obj) and not granted

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # A role is removed on its own page, which knows whether it is granted.
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


@admin.register(Space)
class SpaceAdmin(ModelAdmin):
    dangerous = True
    list_display = ["name", "description"]
    search_fields = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [] if obj is None else ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Grants and workflows name it: a new space of that name would take them over.
        return False


class GrantForm(forms.ModelForm):
    class Meta:
        model = Grant
        fields = ["role", "user", "group", "key", "space", "expires_at"]


@admin.register(Grant)
class GrantAdmin(ModelAdmin):
    """A grant is made and taken away, not changed."""

    form = GrantForm
    dangerous = True
    list_display = ["role", "holder", "where", "granted_by", "granted_at", "expires_at"]
    list_filter = ["role", "space"]
    list_select_related = ["user", "group", "key"]
    autocomplete_fields = ["user", "group", "key"]

    @display(description="Where")
    def where(self, grant: Grant) -> str:
        return grant.space or "everything"

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role":
            choices = [(name, name) for name in granting.roles_to_give(of_staff(request.user))]
            return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)
        if db_field.name == "space":
            spaces = [(one, one) for one in Space.objects.values_list("name", flat=True)]
            choices = [("", "everything"), *spaces]
            return forms.ChoiceField(choices=choices, required=False, widget=UnfoldAdminSelectWidget)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)

        class Bounded(form):  # type: ignore[misc,valid-type]
            def clean(self) -> Any:
                cleaned = super().clean() or self.cleaned_data
                if len([one for one in ("user", "group", "key") if cleaned.get(one)]) != 1:
                    raise ValidationError("Choose one: a user, a group, or an API key.")
                return cleaned

        return Bounded

    def save_model(self, request: HttpRequest, obj: Grant, form: forms.ModelForm, change: bool) -> None:
        obj.granted_by = f"user:{request.user.get_username()}"
        super().save_model(request, obj, form, change)
        granting.changed()

    def delete_model(self, request: HttpRequest, obj: Grant) -> None:
        super().delete_model(request, obj)
        granting.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        super().delete_queryset(request, queryset)
        granting.changed()
