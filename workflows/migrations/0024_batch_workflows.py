import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("workflows", "0023_firm_triggers"),
    ]

    operations = [
        migrations.AddField(
            model_name="runbatch",
            name="workflows",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=63), editable=False, null=True, size=None
            ),
        ),
    ]
