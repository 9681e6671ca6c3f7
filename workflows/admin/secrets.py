"""Secrets for steps: who has them and who may use them. Values go in, and none comes out."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from erip.access.models import Space
from erip.foundation.errors import EripError
from workflows.secrets import stored
from workflows.secrets.models import Provider, Secret

from .base import ShowOnly, for_each, moment, principal_of

#: a choice of "" would be left out by the form
_NO_SPACE = " "


class SecretForm(forms.Form):
    name = forms.CharField(
        max_length=63,
        widget=UnfoldAdminTextInputWidget(),
        help_text="As definitions write it: lower-case letters, digits and _",
    )
    provider = forms.ChoiceField(choices=Provider.choices, widget=UnfoldAdminSelectWidget())
    reference = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Where the provider has it. Empty: under the secret's name.",
    )
    value = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="For the database alone. Empty: the one that is there stays.",
    )
    spaces = forms.MultipleChoiceField(
        required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget(), help_text="Workflows of these may use it."
    )
    everywhere = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget(), help_text="Every workflow may use it."
    )
    description = forms.CharField(required=False, max_length=1000, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        names = list(Space.objects.values_list("name", flat=True))
        choices = [(_NO_SPACE, "workflows without a space"), *((name, name) for name in names)]
        self.fields["spaces"].choices = choices  # type: ignore[attr-defined]

    def wanted(self) -> stored.Wanted:
        given = self.cleaned_data
        return stored.Wanted(
            provider=given["provider"],
            reference=given["reference"],
            value=given["value"] or None,
            spaces=[one.strip() for one in given["spaces"]],
            everywhere=given["everywhere"],
            description=given["description"],
        )


@admin.register(Secret)
class SecretAdmin(ShowOnly):
    list_display = ["name", "provider", "used_by", "version", "changed"]
    list_filter = ["provider"]
    search_fields = ["name"]
    fields = ["name", "provider", "reference", "used_by", "description", "version", "changed"]
    readonly_fields = fields
    actions = ["remove"]
    actions_list = ["put"]
    dangerous = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        found: QuerySet[Secret] = super().get_queryset(request).defer("value", "data_key")
        return found

    @display(description="May be used by")
    def used_by(self, secret: Secret) -> str:
        if secret.everywhere:
            return "every workflow"
        return ", ".join(one or "workflows without a space" for one in secret.spaces) or "nobody"

    @display(description="Stored")
    def changed(self, secret: Secret) -> str:
        return f"{moment(secret.changed_at)} by {secret.changed_by or '-'}"

    @action(description="Delete", permissions=["store"])
    def remove(self, request: HttpRequest, queryset: Any) -> None:
        for_each(
            request,
            queryset.values_list("name", flat=True),
            stored.delete,
            lambda count: f"{count} deleted. Steps that name them fail from now on.",
        )

    @action(description="Store a secret", permissions=["store"], url_path="put")
    def put(self, request: HttpRequest) -> HttpResponse:
        form = SecretForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            name = form.cleaned_data["name"]
            try:
                stored.put(name, form.wanted(), by=principal_of(request))
            except EripError as error:
                messages.warning(request, str(error))
            else:
                messages.success(request, f"{name} is stored. Steps that begin from now on are given it.")
                return HttpResponseRedirect(reverse("admin:secrets_secret_changelist"))
        context = {**self.admin_site.each_context(request), "form": form, "title": "Store a secret", "opts": self.opts}
        return TemplateResponse(request, "admin/secrets/put.html", context)

    def has_store_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("secrets.change_secret"))
