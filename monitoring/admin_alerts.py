"""Channels, the on-call plan and rules of this site in the admin. It changes them as the API does."""

from datetime import UTC, datetime
from typing import Any

import yaml
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from pydantic import BaseModel, ValidationError
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from monitoring import oncall, reaching, store
from monitoring.alerting import shipped
from monitoring.channels import KINDS
from monitoring.core.oncall import BadPlan, Plan, read_plan
from monitoring.core.rules import MOST_RULES, BadRules, Rule, read_rule
from monitoring.errors import ChannelInUse, ChannelInvalid, NoSuchOverride, OnCallInvalid
from monitoring.models import AlertChannel, AlertRule, OnCallOverride, OnCallPlan
from workflows.admin.base import principal_of
from workflows.core.source import SourceInvalid, read


def _ordered(model: type[BaseModel], document: dict[str, Any]) -> dict[str, Any]:
    """A document with its keys in the order of the documentation, and without those that say what goes without saying:
    PostgreSQL orders them by their lengths. One that this release cannot read stays as it is."""
    try:
        return model.model_validate(document).model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    except ValidationError:
        return document


class ChannelForm(forms.ModelForm):
    kind = forms.ChoiceField(choices=[(kind, kind) for kind in KINDS], widget=UnfoldAdminSelectWidget())
    hears = forms.ChoiceField(
        choices=[(one, one) for one in reaching.HEARS],
        widget=UnfoldAdminSelectWidget(),
        help_text="Which messages are sent here beside those of on-call ladders.",
    )
    address = forms.CharField(
        required=False,
        strip=True,
        max_length=reaching.MOST_ADDRESS,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="A URL, or an e-mail address. Nobody is shown it again; empty: it stays as it is.",
    )
    key = forms.CharField(
        required=False,
        strip=True,
        max_length=reaching.MOST_KEY,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="webhook: the secret that signs; pagerduty: the integration key. Empty: it stays as it is, unless "
        "the address changes.",
    )

    class Meta:
        model = AlertChannel
        fields = ["name", "kind", "hears"]

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        document = {name: cleaned[name] for name in ("kind", "hears", "address", "key") if cleaned.get(name)}
        name = cleaned.get("name") or self.instance.pk
        try:
            reaching.check_channel(name, document)
        except ChannelInvalid as error:
            for fault in error.faults:
                self.add_error(fault.path if fault.path in self.fields else None, str(fault.message))
        self.document = document
        return cleaned


@admin.register(AlertChannel)
class ChannelAdmin(ModelAdmin):
    form = ChannelForm
    list_display = ["name", "kind", "hears", "place", "changed_at", "changed_by"]
    readonly_fields = ["place", "changed_at", "changed_by"]
    fields = ["name", "kind", "address", "key", "hears"]
    actions = ["send_test"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.fields, *self.readonly_fields] if obj else list(self.fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name", *self.readonly_fields] if obj else list(self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: AlertChannel, form: Any, change: bool) -> None:
        reaching.put_channel(obj.pk, form.document, by=principal_of(request))

    def delete_model(self, request: HttpRequest, obj: AlertChannel) -> None:
        self._drop(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AlertChannel]) -> None:
        for each in queryset:
            self._drop(request, each)

    def _drop(self, request: HttpRequest, channel: AlertChannel) -> None:
        try:
            reaching.drop_channel(channel.pk)
        except ChannelInUse as error:
            messages.error(request, f"{channel.pk}: {error.message}")

    @action(description="Send a test", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[AlertChannel]) -> None:
        for channel in queryset[:20]:
            error = reaching.try_channel(channel.pk)
            if error is None:
                messages.success(request, f"{channel.pk}: the test was taken.")
            else:
                messages.error(request, f"{channel.pk}: {error}")


class PlanForm(forms.ModelForm):
    text = forms.CharField(
        label="Plan",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 30, "spellcheck": "false", "class": "erip-code"}),
        help_text="YAML: people, rotations and ladders.",
    )

    class Meta:
        model = OnCallPlan
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.document:
            self.fields["text"].initial = yaml.safe_dump(
                _ordered(Plan, self.instance.document), sort_keys=False, allow_unicode=True
            )

    def clean_text(self) -> str:
        try:
            self.document = read(self.cleaned_data["text"], "yaml")
            read_plan(self.document, set(store.channels()))
        except (SourceInvalid, BadPlan) as error:
            raise forms.ValidationError([str(fault) for fault in error.faults]) from error
        return str(self.cleaned_data["text"])


@admin.register(OnCallPlan)
class PlanAdmin(ModelAdmin):
    form = PlanForm
    list_display = ["__str__", "changed_at", "changed_by"]
    fields = ["text"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request) and store.on_call_plan() is None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: OnCallPlan, form: Any, change: bool) -> None:
        obj.pk = 1
        try:
            oncall.put_plan(form.document, by=principal_of(request))
        except OnCallInvalid as error:
            # A channel was dropped since the form was checked.
            messages.error(request, str(error))


class OverrideForm(forms.ModelForm):
    class Meta:
        model = OnCallOverride
        fields = ["rotation", "person", "starts_at", "ends_at", "reason"]

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                oncall.check_override(
                    rotation=cleaned["rotation"],
                    person=cleaned["person"],
                    starts=cleaned["starts_at"],
                    ends=cleaned["ends_at"],
                    now=datetime.now(UTC),
                )
            except OnCallInvalid as error:
                for fault in error.faults:
                    self.add_error(fault.path if fault.path in self.fields else None, fault.message)
        return cleaned


@admin.register(OnCallOverride)
class OverrideAdmin(ModelAdmin):
    form = OverrideForm
    list_display = ["rotation", "person", "starts_at", "ends_at", "reason", "created_by"]
    fields = ["rotation", "person", "starts_at", "ends_at", "reason"]
    actions = ["end"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Those that were are kept as they were; one that lasts can be ended.
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: OnCallOverride, form: Any, change: bool) -> None:
        made = oncall.add_override(
            rotation=obj.rotation,
            person=obj.person,
            starts=obj.starts_at,
            ends=obj.ends_at,
            reason=obj.reason,
            by=principal_of(request),
            now=datetime.now(UTC),
        )
        obj.pk = made["id"]

    @action(description="End now", permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[OnCallOverride]) -> None:
        for one in queryset[:200]:
            try:
                oncall.end_override(one.pk)
            except NoSuchOverride:
                messages.warning(request, f"{one} has ended already.")


class RuleForm(forms.ModelForm):
    text = forms.CharField(
        label="Rule",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 16, "spellcheck": "false", "class": "erip-code"}),
        help_text="YAML, without `name`. Empty: the shipped rule of this name is off.",
    )

    class Meta:
        model = AlertRule
        fields = ["name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.document:
            shown = {name: value for name, value in _ordered(Rule, self.instance.document).items() if name != "name"}
            self.fields["text"].initial = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        name = cleaned.get("name") or self.instance.pk
        self.rule = None
        if self.errors:
            return cleaned
        try:
            if cleaned["text"].strip():
                self.rule = read_rule({**read(cleaned["text"], "yaml"), "name": name})
            elif name not in shipped():
                self.add_error("text", "is needed: only a shipped rule can be switched off")
        except (SourceInvalid, BadRules) as error:
            for fault in error.faults:
                self.add_error("name" if fault.path == "name" else "text", str(fault))
        if self.instance._state.adding and AlertRule.objects.count() >= MOST_RULES:
            self.add_error(None, f"there are {MOST_RULES} rules of this site already; delete one first")
        return cleaned


@admin.register(AlertRule)
class RuleAdmin(ModelAdmin):
    form = RuleForm
    list_display = ["name", "is_on", "severity", "summary", "changed_at", "changed_by"]
    fields = ["name", "text"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj else []

    @display(description="Severity")
    def severity(self, rule: AlertRule) -> str:
        return str((rule.document or {}).get("severity", "-"))

    @display(description="Summary")
    def summary(self, rule: AlertRule) -> str:
        return str((rule.document or {}).get("summary", "-"))

    @display(description="On", boolean=True)
    def is_on(self, rule: AlertRule) -> bool:
        return rule.document is not None

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        store.put_rule(obj.pk, form.rule, by=principal_of(request))

    def delete_model(self, request: HttpRequest, obj: AlertRule) -> None:
        store.drop_rule(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        for each in queryset:
            store.drop_rule(each.pk)
