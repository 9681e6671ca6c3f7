"""The young cases, which leaders look at every few seconds, are found without reading all cases ever made."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("clocks", "0001_legal_clocks")]

    operations = [
        AddIndexConcurrently(
            model_name="legalcase", index=models.Index(fields=["created_at"], name="legal_case_created")
        )
    ]
