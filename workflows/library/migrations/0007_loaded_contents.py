"""What the loader wrote, by its hash: it tells rows that somebody changed from those that a release may correct."""

from django.db import migrations, models
from django.db.models.expressions import Value


class Migration(migrations.Migration):
    dependencies = [("library", "0006_clocks_help")]
    operations = [
        migrations.AddField(
            model_name="loadedreference",
            name="contents",
            field=models.JSONField(db_default=Value({}, output_field=models.JSONField()), default=dict),
        ),
    ]
