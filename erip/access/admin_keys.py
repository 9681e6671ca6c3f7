"""The admin's pages of API keys. Nobody hands on more than they have."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from erip.foundation.errors import EripError

from . import changing, keys
from .catalog import permissions_of
from .models import ApiKey
from .networks import canonical, network_fault
from .origins import source_fault, type_fault
from .policy import covers
from .principals import of_staff
from .scopes import Scope

#: the fields of a key that can be changed
_CHANGED = ("owner", "expires_at", "networks", "rate", "sources", "types")
_OVERLAPS = ((0, "It ends now"), (1, "An hour"), (24, "A day"), (7 * 24, "A week"), (30 * 24, "30 days"))


class LinesField(SimpleArrayField):
    """Patterns or networks, one on each line: a URI may hold a comma."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})
        line = forms.CharField(required=False, max_length=max_length)
        super().__init__(line, delimiter="\n", widget=widget, required=False, **options)

    def clean(self, value: Any) -> list[str]:
        return [line for line in super().clean(value) if line]


class ApiKeyForm(forms.ModelForm):
    sources = LinesField(
        max_length=1024,
        initial=["*"],
        help_text="Sources of events that it may send, one a line: a source, or the beginning of one and *. A source "
        "that is named here is closed to keys with * alone. Nothing: it sends no events.",
    )
    types = LinesField(
        max_length=255,
        initial=["*"],
        help_text="Types of events that it may send, one a line: a type, or the beginning of one and *.",
    )
    networks = LinesField(
        max_length=64,
        help_text="Addresses and networks from which it opens something, one a line. Nothing: from anywhere.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scope", "owner", "expires_at", "networks", "rate", "sources", "types"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("Use printable characters.")
        return name

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment is not None and moment <= timezone.now() and moment != self.instance.expires_at:
            raise forms.ValidationError("This moment has passed.")
        return moment

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        for field, fault_of in (("sources", source_fault), ("types", type_fault), ("networks", network_fault)):
            for line in cleaned.get(field, []):
                if fault := fault_of(line):
                    self.add_error(field, f"{line[:100]}: {fault}")
        if "networks" in cleaned:
            cleaned["networks"] = canonical(cleaned["networks"])
        return cleaned


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        choices=_OVERLAPS,
        coerce=int,
        initial=24,
        label="How long does the old secret open something, too?",
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """A secret is shown once, when it is made. A key keeps its name and its scope; the rest can be changed, its secret
    be exchanged, and the key be revoked."""

    form = ApiKeyForm
    dangerous = True
    list_display = ["name", "owned_by", "scope", "status", "created_by", "last_used_at", "expires_at", "networks"]
    list_filter = ["scope"]
    list_select_related = ["owner"]
    search_fields = ["name", "prefix", "owner__username"]
    actions = ["revoke"]
    actions_detail = ["rotate"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        if obj is None:
            return ["name", "scope", "owner", "expires_at", "networks", "rate", "sources", "types"]
        return [
            "name",
            "prefix",
            "scope",
            "owner",
            "expires_at",
            "networks",
            "rate",
            "sources",
            "types",
            "status",
            "created_at",
            "created_by",
            "rotated_at",
            "rotated_by",
            "previous_until",
            "revoked_at",
            "last_used_at",
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [] if obj is None else [name for name in self.get_fields(request, obj) if name not in _CHANGED]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        return not isinstance(obj, ApiKey) or (obj.revoked_at is None and _covers(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("access.delete_apikey"))

    def has_rotate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("access.change_apikey"):
            return False
        row = ApiKey.objects.filter(pk=object_id, revoked_at=None).first() if _is_number(object_id) else None
        return row is not None and _covers(request, row)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "owner" and field is not None:
            field.queryset = field.queryset.filter(is_active=True).order_by("username")
        return field

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # Nobody can give more rights than they have.
        if db_field.name == "scope" and (caller := of_staff(request.user)) is not None:
            given = [(s.value, s.label) for s in Scope if covers(caller, permissions_of(s.role))]
            kwargs["choices"] = [("", "Only what it is granted"), *given]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    @display(description="Owner")
    def owned_by(self, key: ApiKey) -> str:
        return "unknown owner" if key.owner is None else key.owner.get_username()

    @display(
        description="Status",
        label={"usable": "success", "revoked": "danger", "expired": "warning", "owner not active": "warning"},
    )
    def status(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        if not key.owner_is_active:
            return "owner not active"
        return "usable" if key.is_usable(timezone.now()) else "expired"

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        if change:
            changes = {name: getattr(obj, name) for name in form.changed_data}
            if "owner" in changes and obj.owner is not None:
                changes["owner"] = obj.owner.get_username()
            try:
                changing.change(obj.pk, changes, caller=of_staff(request.user))
            except EripError as error:  # it was revoked meanwhile, or may do more than they
                messages.error(request, str(error))
            return
        made = keys.create(
            name=obj.name,
            scope=Scope(obj.scope) if obj.scope else "",
            expires_at=obj.expires_at,
            sources=obj.sources,
            types=obj.types,
            owner=obj.owner,
            allowed=obj.networks,
            rate=obj.rate,
            created_by=_principal(request),
        )
        obj.pk, obj.prefix = made.row.pk, made.row.prefix
        request.made_key = made  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return self._shown(request, request.made_key, "A new API key")  # type: ignore[attr-defined]

    @action(description="Revoke selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        count = sum(keys.revoke(key.prefix) for key in chosen)
        messages.success(request, f"{count} {'key was' if count == 1 else 'keys were'} revoked.")

    @action(description="Exchange the secret", permissions=["rotate"], icon="autorenew", url_path="rotate")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = RotateForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            until = timezone.now() + timedelta(hours=form.cleaned_data["overlap"])
            try:
                made = changing.rotate(
                    int(object_id), by=_principal(request), caller=of_staff(request.user), old_until=until
                )
            except EripError as error:
                messages.error(request, error.message)
                return redirect("admin:access_apikey_change", object_id)
            return self._shown(request, made, "A new secret")
        context = {**self.admin_site.each_context(request), "title": "Exchange the secret", "opts": self.opts}
        return TemplateResponse(request, "admin/access/apikey_rotate.html", {**context, "form": form})

    def _shown(self, request: HttpRequest, made: keys.NewKey, title: str) -> HttpResponse:
        # In the answer itself: a message would keep the secret in a cookie or a session until it is shown.
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "made": made}
        response = TemplateResponse(request, "admin/access/apikey_created.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response


def _principal(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"


def _covers(request: HttpRequest, row: ApiKey) -> bool:
    caller = of_staff(request.user)
    return caller is not None and changing.covered(row, caller)


def _is_number(text: Any) -> bool:
    return str(text).isascii() and str(text).isdigit() and len(str(text)) <= 18
