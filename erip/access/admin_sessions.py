"""The admin's page of sessions: where people are signed in, for those who may end it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action

from .models import SignedIn
from .sign_in import sessions


@admin.register(SignedIn)
class SignedInAdmin(ModelAdmin):
    """Sessions are ended, not changed."""

    list_display = ["user", "at", "address", "browser", "second_factor"]
    list_select_related = ["user"]
    list_filter = ["second_factor"]
    search_fields = ["user__username", "address"]
    fields = ["user", "at", "address", "browser", "second_factor"]
    actions = ["end_selected"]
    dangerous = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[SignedIn]:
        return sessions.open_ones().order_by("-at")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # The key is the cookie itself: a filter by its beginning would tell it, character by character.
        return not lookup.startswith("session_key") and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("access.delete_signedin"))

    @action(description="End selected sessions", permissions=["end"])
    def end_selected(self, request: HttpRequest, chosen: QuerySet[SignedIn]) -> None:
        messages.success(request, f"Sessions that were ended: {sessions.end(chosen)}.")
