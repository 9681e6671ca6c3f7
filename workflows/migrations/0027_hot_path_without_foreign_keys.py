"""Runs and steps are written without looking up what they belong to: whoever writes them has it, or holds its lock."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0026_hands_of_keys")]

    operations = [
        migrations.AlterField(
            model_name="workflowrun",
            name="version",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="workflows.workflowversion",
            ),
        ),
        migrations.AlterField(
            model_name="steprun",
            name="run",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="steps",
                to="workflows.workflowrun",
            ),
        ),
    ]
