"""Shared reports and the admin's pages of the library."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from workflows.library import cache
from workflows.library.beacon import data as beacon
from workflows.library.beacon import links
from workflows.library.models import KevEntry, Obligation, Report, ReportLink
from workflows.library.reference import load_reference_data

pytestmark = pytest.mark.django_db


def shared(expires: timedelta = timedelta(days=30)) -> tuple[ReportLink, str]:
    saved = beacon.save(
        key="k",
        run_id="r",
        workflow="w",
        title="T",
        html="<!doctype html><p>The report</p>",
        markdown="# The report\n",
        expires_at=timezone.now() + expires,
    )
    return ReportLink.objects.get(pk=saved.link), links.write(saved.link, saved.expires_at)


def test_a_shared_report_is_read_without_a_login_and_leaks_nothing(client: Client) -> None:
    _, token = shared()
    page = client.get(f"/reports/{token}")
    assert page.status_code == 200
    assert b"The report" in page.content
    policy = page["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]
    assert not page.cookies
    text = client.get(f"/reports/{token}.md")
    assert (text["Content-Type"], text.content) == ("text/markdown; charset=utf-8", b"# The report\n")
    assert client.post(f"/reports/{token}").status_code == 405


def test_the_policy_admits_the_style_sheet_that_reports_carry(client: Client) -> None:
    import base64
    import hashlib
    import re

    page = client.get("/reports/nonsense")
    sheet = re.search(rb"<style>(.*?)</style>", page.content, re.S)
    assert sheet is not None
    digest = base64.b64encode(hashlib.sha256(sheet.group(1)).digest()).decode()
    assert f"'sha256-{digest}'" in page["Content-Security-Policy"]


def test_a_token_that_was_changed_leads_nowhere(client: Client) -> None:
    link, token = shared()
    other = links.write(link.pk, link.expires_at + timedelta(days=365))
    body, _, signature = other.rpartition(":")
    forged = [
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        f"{body}:{token.rpartition(':')[2]}",
        f"{body}:{signature[::-1]}",
        "nonsense",
        "x" * 5000,
        "%00",
    ]
    for text in forged:
        assert client.get(f"/reports/{text}").status_code == 404, text


def test_a_revoked_and_an_expired_link_are_gone(client: Client) -> None:
    link, token = shared()
    beacon.revoke([link], by="me", now=timezone.now())
    page = client.get(f"/reports/{token}")
    assert page.status_code == 410
    assert b"The report" not in page.content
    assert "default-src 'none'" in page["Content-Security-Policy"]
    # Running the step again does not open it.
    shared()
    assert client.get(f"/reports/{token}").status_code == 410

    Report.objects.all().delete()
    _, old = shared(timedelta(seconds=-1))
    assert client.get(f"/reports/{old}").status_code == 410


def test_a_link_whose_time_was_cut_in_the_database_is_gone(client: Client) -> None:
    link, token = shared()
    ReportLink.objects.filter(pk=link.pk).update(expires_at=timezone.now())
    assert client.get(f"/reports/{token}").status_code == 410


def test_a_deleted_report_is_not_found(client: Client) -> None:
    _, token = shared()
    Report.objects.all().delete()
    assert client.get(f"/reports/{token}").status_code == 404


def test_a_token_is_the_same_each_time_it_is_written() -> None:
    link, token = shared()
    assert links.write(link.pk, link.expires_at) == token
    assert links.read(token, datetime.now(UTC)).link == link.pk


@pytest.fixture
def admin_pages(client: Client) -> Client:
    load_reference_data()
    cache.forget()
    shared()
    client.force_login(
        get_user_model().objects.create_superuser("root", password="x"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


MODELS = [
    "obligation", "requirement", "organisation", "asset", "control", "lossfactor", "pastincident", "keventry",
    "kevcatalogue", "report", "reportlink", "notificationtarget", "delivery",
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_every_page_of_the_admin_opens(admin_pages: Client, model: str) -> None:
    from django.apps import apps

    found = admin_pages.get(f"/admin/library/{model}/")
    assert found.status_code == 200
    row = apps.get_model("library", model).objects.first()
    if row is not None:
        assert admin_pages.get(f"/admin/library/{model}/{row.pk}/change/").status_code == 200


def test_links_are_revoked_by_an_action(admin_pages: Client) -> None:
    link = ReportLink.objects.get()
    admin_pages.post("/admin/library/reportlink/", {"action": "revoke_links", "_selected_action": [str(link.pk)]})
    link.refresh_from_db()
    assert link.revoked_at is not None
    assert link.revoked_by == "root"


def test_a_bad_clock_is_refused_in_the_admin(admin_pages: Client) -> None:
    row = Obligation.objects.get(code="gdpr-33")
    form = {field.name: getattr(row, field.name) for field in row._meta.fields if getattr(row, field.name) is not None}
    form |= {name: json.dumps(form[name]) for name in ("jurisdictions", "sectors", "data_categories", "conditions")}
    form["enabled"] = "on"
    page = admin_pages.post(
        f"/admin/library/obligation/{row.pk}/change/",
        form | {"clocks": '[{"trigger": "detected", "amount": 1, "unit": "x"}]'},
    )
    assert b"unit must be one of" in page.content
    saved = admin_pages.post(
        f"/admin/library/obligation/{row.pk}/change/",
        form | {"clocks": '[{"trigger": "detected", "amount": 48, "unit": "hours"}]'},
    )
    assert saved.status_code == 302
    row.refresh_from_db()
    assert row.clocks[0]["amount"] == 48


def test_the_catalogue_is_read_and_not_edited(admin_pages: Client) -> None:
    row = KevEntry.objects.first()
    assert row is not None
    assert admin_pages.post(f"/admin/library/keventry/{row.pk}/change/", {"vendor": "x"}).status_code == 403
    assert admin_pages.get("/admin/library/keventry/add/").status_code == 403
