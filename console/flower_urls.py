"""Mounted at /flower/ by the project: `erip.ops.stack.monitor` has its pages below the same path."""

from django.urls import path

from console.views.flower import flower

app_name = "flower"
urlpatterns = [path("", flower, name="page"), path("<path:rest>", flower, name="part")]
