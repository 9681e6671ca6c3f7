"""Archived runs: the same page as for any run, read-only."""

from django.contrib import admin

from workflows.models import ArchivedRun

from .runs import RunAdmin


@admin.register(ArchivedRun)
class ArchivedRunAdmin(RunAdmin):
    actions: list[str] = []
    actions_detail: list[str] = []
