"""Where everything is: the API with its documentation, SCIM, the admin, the pages of the apps, the probes of balancers.

The apps say in their `hooks` what belongs under /api/v1 and which pages they have.
"""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import defaults
from django.views.generic import RedirectView

from erip import health
from erip.foundation.hooks import api_urls, pages
from erip.foundation.http import problems
from erip.foundation.http.documents import Docs, openapi

# Note [Pages of the admin] in `erip.access.admin_apps`.
admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("health/startup", health.startup),
    path("api/schema", openapi, name="schema"),
    path("api/docs", Docs.as_view(), name="docs"),
    *(path("api/v1/", include(urls)) for urls in api_urls.all()),
    path("admin/", admin.site.urls),
    path("scim/v2/", include("erip.access.scim.urls")),
    *(path(shown.prefix, include(shown.urls)) for shown in pages.all()),
]


def _of_api(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/health/", problems.SCIM))


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problems.bad_request(request) if _of_api(request) else defaults.bad_request(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problems.page_not_found(request) if _of_api(request) else defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    return problems.server_error(request) if _of_api(request) else defaults.server_error(request)
