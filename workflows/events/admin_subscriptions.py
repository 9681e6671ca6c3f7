"""Subscriptions and their deliveries in the admin. What it changes goes through `subscriptions`, as in the API."""

from collections.abc import Sequence
from typing import Any

import orjson
from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from workflows.admin.base import ShowOnly, clock, for_each, json_block, principal_of
from workflows.errors import InvalidInput
from workflows.events import subscriptions
from workflows.events.errors import TooManySubscriptions
from workflows.events.models import Delivery, Event, Subscription

_EDITED = ["url", "types", "source", "subject", "description", "enabled"]


class TypesField(SimpleArrayField):
    """Types of events, one on each line; commas part them as well."""

    def __init__(self) -> None:
        super().__init__(
            forms.CharField(required=False, max_length=255),
            delimiter="\n",
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
            help_text="Types of events, one on each line: workflow.run.failed. A * at the end stands for any rest: "
            "workflow.run.*",
        )

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace(",", "\n") if isinstance(value, str) else value)

    def clean(self, value: Any) -> list[str]:
        return [line for line in super().clean(value) if line]


class SubscriptionForm(forms.ModelForm):
    types = TypesField()

    class Meta:
        model = Subscription
        fields = _EDITED
        help_texts = {
            "url": "Where events are sent: https, and no address of a private network.",
            "source": "Only events of this source; a * at the end stands for any rest. Empty: any source.",
            "subject": "Only events about this subject; a * at the end stands for any rest. Empty: any subject.",
            "description": "For people: who receives this, and whom to call.",
        }
        labels = {"url": "URL"}

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        for name in ("source", "subject"):
            cleaned[name] = cleaned.get(name) or None
        if self.errors:
            return cleaned
        try:
            subscriptions.check(**{name: cleaned[name] for name in ("url", "types", "source", "subject")})
        except InvalidInput as error:
            for fault in error.faults:
                field = next((name for name in _EDITED if fault.path.startswith(name)), None)
                self.add_error(field, str(fault))
        if self.instance.pk is None or self.instance._state.adding:
            try:
                subscriptions.check_room()
            except TooManySubscriptions as error:
                self.add_error(None, error.message)
        return cleaned


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
    form = SubscriptionForm
    list_display = ["url", "types", "status", "failing_since", "description", "created_at"]
    list_filter = ["enabled"]
    search_fields = ["url", "description"]
    readonly_fields = ["created_at", "created_by", "rotated_at", "failing_since", "disabled_at", "disabled_reason"]
    fields = [*_EDITED, *readonly_fields]
    actions = ["send_test", "rotate"]
    list_fullwidth = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # Before it is made there is nothing to say about it.
        return list(self.fields) if obj else _EDITED

    @display(description="Status", label={"active": "success", "failing": "warning", "disabled": "danger"})
    def status(self, each: Subscription) -> str:
        if not each.enabled:
            return "disabled" if each.disabled_at else "off"
        return "failing" if each.failing_since else "active"

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in _EDITED}
        if change:
            subscriptions.change(obj.pk, values)
            return
        made = subscriptions.subscribe(**values, principal=principal_of(request))
        obj.pk = made.subscription.pk
        request.made_subscription = made  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Subscription, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._secrets(request, [request.made_subscription])  # type: ignore[attr-defined]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Its deliveries may be a million; none of them is listed.
        return [str(obj) for obj in objs], {"subscriptions": len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        subscriptions.unsubscribe(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for each in queryset:
            subscriptions.unsubscribe(each.pk)

    @action(description="Send a test", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        principal = principal_of(request)
        for_each(request, queryset, lambda one: subscriptions.send_test(one.pk, principal=principal))
        messages.info(request, "What came of it stands under Deliveries.")

    @action(description="Exchange the secret", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        made = for_each(request, queryset, lambda one: subscriptions.rotate_secret(one.pk))
        return self._secrets(request, made) if made else None

    def _secrets(self, request: HttpRequest, made: list[subscriptions.Made]) -> HttpResponse:
        # The secret is shown in the answer itself: a message would keep it in a cookie or a session until it is shown.
        context = {
            **self.admin_site.each_context(request),
            "title": "The secret" if len(made) == 1 else "The secrets",
            "opts": self.opts,
            "made": made,
        }
        response = TemplateResponse(request, "admin/events/secrets.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response


class _Newest(Paginator):
    """Counts no more than the newest rows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:10_000].count())


@admin.register(Delivery)
class DeliveryAdmin(ShowOnly):
    list_display = ["id", "created_at", "type", "event_id", "subscription", "label", "attempts"]
    list_filter = ["state"]
    list_select_related = ["subscription"]
    fields = ["subscription", "type", "event_id", "label", "created_at", "due_at", "finished_at", "tries_made", "shown"]
    readonly_fields = ["label", "tries_made", "shown"]
    actions = ["again"]
    sortable_by: Sequence[str] = []
    show_full_result_count = False
    paginator = _Newest
    list_fullwidth = True

    @display(
        description="State",
        label={"PENDING": "warning", "SENDING": "info", "DELIVERED": "success", "FAILED": "danger"},
    )
    def label(self, each: Delivery) -> str:
        return each.state

    @display(description="Attempts")
    def tries_made(self, each: Delivery) -> SafeString:
        rows = (
            (one.number, clock(one.at), one.milliseconds or 0, one.status or "", one.error) for one in each.log.all()
        )
        return format_html_join("", "<div>{}. {} · {} ms · {} {}</div>", rows)

    @display(description="Event")
    def shown(self, each: Delivery) -> SafeString | str:
        if each.body is not None:
            return json_block(orjson.loads(each.body))
        place = {"partition": each.partition, "position": each.position, "logged_at": each.logged_at}
        logged = Event.objects.filter(**place).first()
        return json_block(orjson.loads(logged.event)) if logged else "The log does not have it any more."

    def has_again_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("events.change_subscription"))

    @action(description="Deliver again", permissions=["again"])
    def again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        for_each(request, queryset.order_by("id"), lambda one: subscriptions.redeliver(one.pk))
