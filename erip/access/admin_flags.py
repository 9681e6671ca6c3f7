"""The admin's page of feature flags: what the release says of each, and what an operator says."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from erip.foundation.errors import EripError

from .flags import stored
from .flags.asking import features
from .models import Flag

_EVERYONE = (("", "as said below"), ("on", "on for everyone"), ("off", "off for everyone"))


class FlagForm(forms.Form):
    name = forms.ChoiceField(widget=UnfoldAdminSelectWidget())
    everyone = forms.ChoiceField(choices=_EVERYONE, required=False, widget=UnfoldAdminSelectWidget())
    off_for = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Off for these, one a line: user:ada, key:ci, space:breach, as the flag's page names the kinds.",
    )
    on_for = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="On for these, one a line."
    )
    percent = forms.DecimalField(
        required=False,
        max_digits=4,
        decimal_places=1,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="On for this share, 0 to 100: always the same ones.",
    )
    note = forms.CharField(required=False, max_length=stored.LONGEST_NOTE, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["name"].choices = [(one, f"{one}: {features()[one].meaning}") for one in sorted(features())]  # type: ignore[attr-defined]

    def wanted(self) -> stored.Wanted:
        given = self.cleaned_data
        return stored.Wanted(
            everyone={"on": True, "off": False}.get(given["everyone"]),
            percent=given["percent"],
            on_for=_lines(given["on_for"]),
            off_for=_lines(given["off_for"]),
            note=given["note"],
        )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@admin.register(Flag)
class FlagAdmin(ModelAdmin):
    """Shows what operators say. All changes go through `flags.stored`, as those of the API and the command do."""

    list_display = ["name", "now", "note", "changed_by", "changed_at"]
    fields = ["name", "now", "meaning", "everyone", "off_for", "on_for", "percent", "note", "changed_by", "changed_at"]
    readonly_fields = fields
    actions = ["reset"]
    actions_list = ["put"]
    list_before_template = "admin/access/flags.html"
    dangerous = True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = dict(extra_context or {})
        if request.method == "GET" and self.has_view_permission(request):
            context["known_flags"] = self._known(may_set=self.has_store_permission(request))
        page: HttpResponse = super().changelist_view(request, context)
        return page

    def _known(self, *, may_set: bool) -> list[dict[str, Any]]:
        """All flags of this release: whoever looks for one must find it, also where nobody has said anything of it."""
        said = {row.name: row for row in Flag.objects.all()}
        put = reverse("admin:access_flag_put")
        return [
            {
                "flag": one,
                "now": self.now(said[name]) if name in said else "on" if one.on else "off",
                "url": f"{put}?{urlencode({'name': name})}" if may_set else "",
            }
            for name, one in sorted(features().items())
        ]

    @display(description="Is")
    def now(self, row: Flag) -> str:
        if row.everyone is not None:
            return "on for everyone" if row.everyone else "off for everyone"
        parts = [f"off for {', '.join(row.off_for)}"] if row.off_for else []
        parts += [f"on for {', '.join(row.on_for)}"] if row.on_for else []
        if row.percent is not None:
            return "; ".join([*parts, f"else on in {row.percent} %"])
        known = features().get(row.name)
        return "; ".join([*parts, "else as the release has it: " + ("on" if known and known.on else "off")])

    @display(description="While it is off")
    def meaning(self, row: Flag) -> str:
        known = features().get(row.name)
        return known.meaning if known else "This release has no such flag."

    @action(description="As the release has it", permissions=["store"])
    def reset(self, request: HttpRequest, chosen: QuerySet[Flag]) -> None:
        names = list(chosen.values_list("name", flat=True))
        with transaction.atomic():
            for name in names:
                stored.reset(name)
        messages.success(request, f"As the release has them: {', '.join(names)}.")

    @action(description="Turn one on or off", permissions=["store"], url_path="put")
    def put(self, request: HttpRequest) -> HttpResponse:
        if not self.has_store_permission(request):
            raise PermissionDenied
        form = FlagForm(request.POST or None, initial={"name": request.GET.get("name", "")[:63]})
        if request.method == "POST" and form.is_valid():
            name = form.cleaned_data["name"]
            try:
                stored.put(name, form.wanted(), by=f"user:{request.user.get_username()}")
            except EripError as error:
                messages.warning(request, str(error))
            else:
                messages.success(request, f"{name} is set, in every process within a second.")
                return HttpResponseRedirect(reverse("admin:access_flag_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "form": form,
            "title": "Turn a feature flag on or off",
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/access/flag_put.html", context)

    def has_store_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("access.change_flag"))

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
