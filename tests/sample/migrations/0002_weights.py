"""An expand step, and the filling of its column in the background."""

from django.db import migrations, models

from erip.foundation.db.backfills import Backfill


class Migration(migrations.Migration):
    dependencies = [("sample", "0001_initial"), ("erip", "0001_backfills")]

    operations = [
        migrations.AddField("effect", "weight", models.IntegerField(null=True)),
        Backfill("sample.weigh", table="sample_effect", set="weight = length(key)", where="weight IS NULL"),
    ]
