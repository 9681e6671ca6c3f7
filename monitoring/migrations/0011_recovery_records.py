import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0010_controls'),
    ]

    operations = [
        migrations.CreateModel(
            name='RecoveryRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=10)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ok', models.BooleanField()),
                ('body', models.TextField()),
                ('signature', models.CharField(max_length=100)),
            ],
            options={
                'ordering': ['-id'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['kind', '-at'], name='recoveryrecord_newest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['backup', 'drill', 'switchover'])), name='recoveryrecord_kind')],
            },
        ),
    ]
