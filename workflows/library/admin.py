"""The library's data in the admin: what an admin edits, and what an admin can only read."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from workflows.library.beacon import links
from workflows.library.beacon.data import revoke
from workflows.library.models import (
    Asset,
    Control,
    Delivery,
    KevCatalogue,
    KevEntry,
    LossFactor,
    NotificationTarget,
    Obligation,
    Organisation,
    PastIncident,
    Report,
    ReportLink,
    Requirement,
)
from workflows.library.views import sealed
from workflows.models import ArchivedRun, WorkflowRun


class ReadOnly:
    """Written by the platform, read by people."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Obligation)
class ObligationAdmin(ModelAdmin):
    list_display = ["code", "regime", "title", "wording", "places", "is_verified", "reviewed_on", "enabled"]
    list_filter = ["checked", "enabled", "regime"]
    search_fields = ["code", "regime", "title", "authority", "citation"]
    fieldsets = [
        (None, {"fields": ["code", "regime", "title", "authority", "enabled"]}),
        ("Legal clock", {"fields": ["wording", "clocks", "stops", "note"]}),
        (
            "Source",
            {
                "fields": [
                    "citation",
                    "source_url",
                    "checked",
                    "text_of",
                    "reviewed_on",
                    "in_force_from",
                    "in_force_until",
                    "not_in_force",
                ]
            },
        ),
        (
            "Applies to",
            {
                "fields": [
                    "jurisdictions",
                    "sectors",
                    "data_categories",
                    "conditions",
                    "min_severity",
                    "min_records",
                    "max_records",
                    "per_state",
                    "encryption_exempts",
                ]
            },
        ),
    ]

    @admin.display(boolean=True, description="verified")
    def is_verified(self, obligation: Obligation) -> bool:
        return obligation.verified

    @admin.display(description="where")
    def places(self, obligation: Obligation) -> str:
        return ", ".join(obligation.jurisdictions) or "everywhere"


@admin.register(Requirement)
class RequirementAdmin(ModelAdmin):
    list_display = ["framework", "reference", "title", "fulfilment", "assessed_on", "applicable", "sample"]
    list_filter = ["framework", "applicable", "sample"]
    search_fields = ["reference", "title"]


@admin.register(Organisation)
class OrganisationAdmin(ModelAdmin):
    list_display = ["name", "currency", "risk_appetite", "observed_since", "sample"]


@admin.register(Asset)
class AssetAdmin(ModelAdmin):
    list_display = ["name", "kind", "criticality", "internet_facing", "records", "owner", "sample"]
    list_filter = ["kind", "criticality", "internet_facing", "sample"]
    search_fields = ["name", "vendor", "product", "owner"]


@admin.register(Control)
class ControlAdmin(ModelAdmin):
    list_display = ["code", "name", "effectiveness", "target", "tested_on", "sample"]
    list_filter = ["sample"]
    search_fields = ["code", "name"]
    filter_horizontal = ["assets"]


@admin.register(LossFactor)
class LossFactorAdmin(ModelAdmin):
    list_display = ["code", "name", "basis", "low", "mode", "high", "probability", "sample"]
    list_filter = ["basis", "sample"]
    search_fields = ["code", "name"]


@admin.register(PastIncident)
class PastIncidentAdmin(ModelAdmin):
    list_display = ["reference", "title", "incident_type", "occurred_on", "records", "loss", "sample"]
    list_filter = ["incident_type", "attack_vector", "sample"]
    search_fields = ["reference", "title"]
    date_hierarchy = "occurred_on"


@admin.register(KevEntry)
class KevEntryAdmin(ReadOnly, ModelAdmin):
    """Loaded by `manage.py load_kev`; an edit would be lost with the next load."""

    list_display = [
        "cve_id",
        "vendor",
        "product",
        "date_added",
        "due_date",
        "ransomware",
        "withdrawn",
        "sample",
    ]
    list_filter = ["ransomware", "withdrawn", "sample"]
    search_fields = ["cve_id", "vendor", "product", "name"]
    date_hierarchy = "date_added"


@admin.register(KevCatalogue)
class KevCatalogueAdmin(ReadOnly, ModelAdmin):
    list_display = ["version", "title", "released_at", "entries", "loaded_at", "sample"]


@admin.register(Report)
class ReportAdmin(ReadOnly, ModelAdmin):
    list_display = ["title", "opened", "workflow", "run_id", "created_at", "updated_at"]
    list_filter = ["workflow"]
    search_fields = ["title", "run_id"]
    fields = ["title", "workflow", "run", "created_at", "updated_at", "sha256", "opened", "markdown"]
    readonly_fields = ["run", "opened"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        # A report may have a megabyte, and a list shows none of it.
        found: QuerySet[Report] = super().get_queryset(request)
        return found.defer("html", "markdown")

    @admin.display(description="")
    def opened(self, report: Report) -> str:
        address = reverse("admin:library_report_open", args=[report.pk])
        return format_html(
            '<a class="text-primary-600 dark:text-primary-400" href="{}" target="_blank" rel="noopener">Open</a>',
            address,
        )

    @admin.display(description="run")
    def run(self, report: Report) -> str:
        # The run may be archived, or gone.
        for name, runs in (("workflowrun", WorkflowRun), ("archivedrun", ArchivedRun)):
            if is_uuid(report.run_id) and runs.objects.filter(pk=report.run_id).exists():
                address = reverse(f"admin:workflows_{name}_change", args=[report.run_id])
                return format_html(
                    '<a class="text-primary-600 dark:text-primary-400" href="{}">{}</a>', address, report.run_id
                )
        return report.run_id

    def get_urls(self) -> list[URLPattern]:
        own = path("<str:object_id>/open/", self.admin_site.admin_view(self.open_view), name="library_report_open")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    def open_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The report itself, as its shared links show it: nothing in it runs or loads."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        report = Report.objects.filter(pk=object_id).first() if is_uuid(object_id) else None
        if report is None:
            raise Http404("There is no such report.")
        return sealed(HttpResponse(report.html))


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


class Validity(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "open"), ("revoked", "revoked"), ("expired", "expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReportLink]) -> QuerySet[ReportLink]:
        now = timezone.now()
        chosen = {
            "open": Q(revoked_at__isnull=True, expires_at__gt=now),
            "revoked": Q(revoked_at__isnull=False),
            "expired": Q(revoked_at__isnull=True, expires_at__lte=now),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


@admin.register(ReportLink)
class ReportLinkAdmin(ModelAdmin):
    list_display = ["report", "created_at", "expires_at", "revoked_at", "revoked_by", "shared"]
    list_filter = [Validity]
    list_select_related = ["report"]
    search_fields = ["report__title", "report__run_id"]
    fields = ["report", "created_at", "expires_at", "revoked_at", "revoked_by", "shared"]
    readonly_fields = fields
    actions = ["revoke_links"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="link")
    def shared(self, link: ReportLink) -> str:
        if link.revoked_at or link.expires_at <= timezone.now():
            return "-"
        return format_html('<a href="/reports/{}" rel="noreferrer">open</a>', links.write(link.pk, link.expires_at))

    @admin.action(description="Revoke the selected links", permissions=["change"])
    def revoke_links(self, request: HttpRequest, queryset: QuerySet[ReportLink]) -> None:
        count = revoke(queryset, by=request.user.get_username(), now=timezone.now())
        self.message_user(request, f"{count} link(s) revoked.", messages.SUCCESS)


@admin.register(NotificationTarget)
class NotificationTargetAdmin(ModelAdmin):
    list_display = ["name", "kind", "address", "enabled"]
    list_filter = ["kind", "enabled"]
    search_fields = ["name", "address"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin):
    list_display = ["sent_at", "target", "detail", "idempotency_key"]
    search_fields = ["target", "idempotency_key"]
