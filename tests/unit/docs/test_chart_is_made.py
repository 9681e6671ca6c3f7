"""The Helm chart is generated, as pages are. What it makes: tests/unit/erip/ops/kubernetes/test_chart.py."""

from erip.management import chart_settings
from erip.ops.kubernetes import chart


def test_the_chart_is_made_of_the_manifests_and_settings_as_they_are() -> None:
    """Otherwise: `manage.py chart`."""
    there = {
        str(path.relative_to(chart.FOLDER)): path.read_text() for path in chart.FOLDER.rglob("*") if path.is_file()
    }
    assert chart.files(chart_settings.schema()) == there
