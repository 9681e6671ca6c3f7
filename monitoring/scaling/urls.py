"""The autoscaler's address under /api/v1."""

from django.urls import path

from monitoring.scaling.api import ScalingList

urlpatterns = [path("scaling", ScalingList.as_view())]
