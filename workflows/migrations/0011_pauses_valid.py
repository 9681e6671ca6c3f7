from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0010_pauses'),
    ]

    operations = [
        ValidateConstraint(model_name='steprun', name='step_state'),
    ]
