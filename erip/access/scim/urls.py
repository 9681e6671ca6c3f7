"""The addresses under /scim/v2."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from .views import Collection, Discovery, One, Root, Search


class ScimId(StringConverter):
    """The id of a resource, a resource type or a schema."""

    regex = "[^/]{1,200}"


register_converter(ScimId, "scim")

urlpatterns = [
    path("", Root.as_view()),
    path(".search", Search.as_view()),
    path("ServiceProviderConfig", Discovery.as_view()),
    *(path(f"{kind}{one}", Discovery.as_view()) for kind in ("ResourceTypes", "Schemas") for one in ("", "/<scim:id>")),
    *(path(kind, Collection.as_view()) for kind in ("Users", "Groups")),
    *(path(f"{kind}/.search", Search.as_view()) for kind in ("Users", "Groups")),
    *(path(f"{kind}/<scim:id>", One.as_view()) for kind in ("Users", "Groups")),
]
