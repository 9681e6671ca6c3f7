"""A report is removed after its last link expires: the row, the links and the files."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from workflows.library.beacon import data as store
from workflows.library.beacon.expiring import forget_reports, sweep_files
from workflows.library.models import Report, ReportLink

pytestmark = pytest.mark.django_db

RUN = "01a21492-03a8-7168-881d-da169c051d39"


@pytest.fixture(autouse=True)
def _folder(tmp_path, settings):
    settings.ERIP_REPORT_DIR = tmp_path
    settings.ERIP_REPORT_TTL_DAYS = 30
    settings.ERIP_REPORT_KEEP_DAYS = 0


def made(expires: timedelta, *, step: str = "report", item: str = "", run: str = RUN) -> Report:
    saved = store.save(
        key=f"{run}:{step}:{item}",
        run_id=run,
        workflow="w",
        title="T",
        html="<p>",
        markdown="#",
        expires_at=datetime.now(UTC) + expires,
    )
    store.write_files(run, f"{step}-{item}" if item else step, "<p>", "#")
    return Report.objects.get(pk=saved.report)


def test_a_report_whose_link_is_over_goes_with_its_link_and_its_files(tmp_path):
    gone = made(timedelta(seconds=-1))
    item = made(timedelta(seconds=-1), step="each", item="3")
    other = made(timedelta(days=1), run="another")
    assert len(list(tmp_path.rglob("*.html"))) == 3
    assert forget_reports.do() is False
    assert list(Report.objects.values_list("pk", flat=True)) == [other.pk]
    assert not ReportLink.objects.filter(report_id__in=[gone.pk, item.pk]).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_a_report_with_one_link_that_still_answers_stays(tmp_path):
    report = made(timedelta(seconds=-1))
    ReportLink.objects.create(report=report, expires_at=datetime.now(UTC) + timedelta(days=1))
    forget_reports.do()
    assert Report.objects.filter(pk=report.pk).exists()
    assert (tmp_path / RUN / "report.html").exists()


def test_it_may_be_kept_for_longer(settings):
    settings.ERIP_REPORT_KEEP_DAYS = 2
    kept, gone = made(timedelta(days=-1)), made(timedelta(days=-3), run="another")
    forget_reports.do()
    assert Report.objects.filter(pk=kept.pk).exists()
    assert not Report.objects.filter(pk=gone.pk).exists()


def test_a_report_without_any_link_ends_at_the_age_of_one(settings):
    old, new = made(timedelta(days=1)), made(timedelta(days=1), run="another")
    ReportLink.objects.all().delete()
    Report.objects.filter(pk=old.pk).update(created_at=datetime.now(UTC) - timedelta(days=31))
    forget_reports.do()
    assert list(Report.objects.values_list("pk", flat=True)) == [new.pk]


def test_files_that_are_gone_already_or_cannot_go_keep_no_row(tmp_path, monkeypatch):
    report = made(timedelta(seconds=-1))
    (tmp_path / RUN / "report.md").unlink()
    (tmp_path / RUN / "somebody's notes.txt").write_text("kept")
    forget_reports.do()
    assert not Report.objects.filter(pk=report.pk).exists()
    assert [path.name for path in (tmp_path / RUN).iterdir()] == ["somebody's notes.txt"]


def test_a_host_removes_its_own_files_when_no_report_can_be_as_old(tmp_path):
    made(timedelta(days=1), run="young")
    made(timedelta(days=1), run="old")
    made(timedelta(days=1), run="kept")
    # A rule or a legal hold may keep a report for longer than its links.
    Report.objects.filter(run_id="old").delete()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("not ours")
    long_ago = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    for path in (*(tmp_path / "old").iterdir(), *(tmp_path / "kept").iterdir(), tmp_path / "foreign" / "notes.txt"):
        os.utime(path, (long_ago, long_ago))
    assert sweep_files() == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "kept", "young"]


def test_there_may_be_no_folder_at_all(tmp_path, settings):
    settings.ERIP_REPORT_DIR = tmp_path / "none"
    assert sweep_files() == 0
