"""Days and months of the shipped obligations end in the zone of their law, and no longer in one zone for all.

Only clocks that nobody changed since they were shipped are renewed: they took one zone for all of the Union or the
United States, or (Florida) the later of two triggers.
"""

from typing import Any

from django.db import migrations

CLOCKS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "nis2-final": (
        [{"trigger": "after:nis2-notification", "amount": 1, "unit": "months", "timezone": "Europe/Brussels"}],
        [{"trigger": "after:nis2-notification", "amount": 1, "unit": "months"}],
    ),
    "dora-final": (
        [{"trigger": "after:dora-intermediate", "amount": 1, "unit": "months", "timezone": "Europe/Brussels"}],
        [{"trigger": "after:dora-intermediate", "amount": 1, "unit": "months"}],
    ),
    "hipaa-hhs-annual": (
        [{"trigger": "detected", "amount": 60, "unit": "days_after_year_end", "timezone": "America/New_York"}],
        [{"trigger": "detected", "amount": 60, "unit": "days_after_year_end"}],
    ),
    "lgpd-48": (
        [
            {
                "trigger": "confirmed",
                "amount": 3,
                "unit": "business_days",
                "calendar": "weekdays",
                "timezone": "America/Sao_Paulo",
            }
        ],
        [{"trigger": "confirmed", "amount": 3, "unit": "business_days", "calendar": "weekdays"}],
    ),
    "fl-501-171": (
        [{"trigger": "confirmed", "amount": 30, "unit": "days"}],
        [{"trigger": "detected", "amount": 30, "unit": "days"}],
    ),
}


def renew(apps: Any, schema_editor: Any) -> None:
    obligations = apps.get_model("library", "Obligation").objects
    for code, (old, new) in CLOCKS.items():
        obligations.filter(code=code, clocks=old).update(clocks=new)


class Migration(migrations.Migration):
    dependencies = [("library", "0003_reference_versions")]
    operations = [migrations.RunPython(renew, migrations.RunPython.noop)]
