"""Thresholds that count the residents of one state. HIPAA's notice to the media has one (45 CFR 164.406)."""

from typing import Any

from django.db import migrations, models


def media(apps: Any, schema_editor: Any) -> None:
    apps.get_model("library", "Obligation").objects.filter(code="hipaa-media", min_records=501).update(per_state=True)


class Migration(migrations.Migration):
    dependencies = [("library", "0004_legal_days")]
    operations = [
        migrations.AddField(
            model_name="obligation",
            name="per_state",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="the numbers are of the residents of one state of the country, not of everybody",
            ),
        ),
        migrations.RunPython(media, migrations.RunPython.noop),
    ]
