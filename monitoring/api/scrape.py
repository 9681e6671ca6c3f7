"""GET /metrics: for Prometheus and whatever else reads its formats."""

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from erip.access.authentication import StaffSessionAuthentication
from erip.access.permissions import requires
from erip.access.scopes import Scope
from monitoring import exposing
from monitoring.api.remembering import RememberingKeys
from monitoring.core.exposition import render


class Scrape(APIView):
    """Not among the operations of the API: its format is not JSON, and not ours."""

    authentication_classes = (RememberingKeys, StaffSessionAuthentication)

    @extend_schema(exclude=True)
    @requires(Scope.METRICS, "monitoring.scrape_metrics")
    def get(self, request: Request) -> HttpResponse:
        # What the query says is not read: a scrape may carry parameters of its own.
        body, media_type = render(exposing.metrics(), request.headers.get("Accept", ""))
        return HttpResponse(body, content_type=media_type, headers={"Cache-Control": "no-store", "Vary": "Accept"})


urlpatterns = [path("", Scrape.as_view())]
