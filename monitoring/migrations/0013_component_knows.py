import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0012_view_flower'),
    ]

    operations = [
        migrations.AddField(
            model_name='component',
            name='knows',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), db_default=models.Value([], output_field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)), default=list, size=None),
        ),
    ]
