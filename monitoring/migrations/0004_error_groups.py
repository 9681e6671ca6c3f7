import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


# What failed before there were groups is not grouped: reading begins behind it.
CURSORS = """
INSERT INTO monitoring_errorcursor (source, position, bound, writers, bounded_at)
SELECT source, place, place, '{}', clock_timestamp() FROM (VALUES
    ('attempt', (SELECT coalesce(max(id), 0) FROM workflows_runevent)),
    ('dead_letter', (SELECT coalesce(max(id), 0) FROM events_deadletter)),
    ('delivery', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)) AS places (source, place)
"""


class Migration(migrations.Migration):

    dependencies = [
        ("workflows", "0001_initial"),
        ("events", "0003_subscriptions"),
        ('monitoring', '0003_totals'),
    ]

    operations = [
        migrations.CreateModel(
            name='ErrorCursor',
            fields=[
                ('source', models.CharField(max_length=12, primary_key=True, serialize=False)),
                ('position', models.BigIntegerField()),
                ('bound', models.BigIntegerField()),
                ('writers', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('bounded_at', models.DateTimeField()),
            ],
            options={
                'ordering': ['source'],
            },
        ),
        migrations.CreateModel(
            name='ErrorGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(help_text='Of the kind.', max_length=32)),
                ('source', models.CharField(max_length=12)),
                ('what', models.CharField(help_text="The step's `uses`, the effect on events, or the receiver.", max_length=200)),
                ('code', models.CharField(blank=True, max_length=200)),
                ('type', models.CharField(blank=True, max_length=200)),
                ('title', models.CharField(max_length=300)),
                ('place', models.CharField(blank=True, help_text='The function of the application.', max_length=300)),
                ('why', models.JSONField()),
                ('traceback', models.TextField(blank=True)),
                ('state', models.CharField(default='open', max_length=8)),
                ('count', models.BigIntegerField()),
                ('first_seen', models.DateTimeField()),
                ('last_seen', models.DateTimeField()),
                ('first_release', models.CharField(max_length=100)),
                ('last_release', models.CharField(max_length=100)),
                ('first_definition', models.CharField(blank=True, help_text='As `name@version`.', max_length=80)),
                ('last_definition', models.CharField(blank=True, help_text='As `name@version`.', max_length=80)),
                ('links', models.JSONField()),
                ('changed_at', models.DateTimeField(null=True)),
                ('changed_by', models.CharField(blank=True, default='', max_length=200)),
                ('reason', models.CharField(blank=True, default='', max_length=1000)),
                ('resolved_at', models.DateTimeField(null=True)),
                ('resolved_under', models.CharField(blank=True, default='', help_text='The release that ran then.', max_length=100)),
                ('resolved_release', models.CharField(help_text='The release that the fix is in.', max_length=100, null=True)),
                ('resolved_workflow', models.CharField(max_length=63, null=True)),
                ('resolved_version', models.PositiveIntegerField(help_text='The version that the fix is in.', null=True)),
                ('regression', models.BooleanField(default=False, help_text='Open because it was seen again.')),
                ('regressions', models.PositiveIntegerField(default=0)),
                ('regressed_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-last_seen'],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['open', 'resolved', 'ignored'])), name='errorgroup_state'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'resolved'), _negated=True), ('resolved_at__isnull', False), _connector='OR'), name='errorgroup_resolved'), models.CheckConstraint(condition=models.Q(models.Q(('resolved_version__isnull', True), ('resolved_workflow__isnull', True)), models.Q(('resolved_version__gte', 1), ('resolved_workflow__isnull', False)), _connector='OR'), name='errorgroup_fix')],
            },
        ),
        migrations.CreateModel(
            name='ErrorKey',
            fields=[
                ('key', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='keys', to='monitoring.errorgroup')),
            ],
            options={
                'ordering': ['key'],
            },
        ),
        migrations.CreateModel(
            name='ErrorCount',
            fields=[
                ('pk', models.CompositePrimaryKey('group_id', 'tier', 'at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('tier', models.PositiveSmallIntegerField(help_text='Seconds that it covers: 60 or 3600.')),
                ('at', models.DateTimeField(help_text='The beginning of what it covers.')),
                ('count', models.BigIntegerField()),
                ('group', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='counts', to='monitoring.errorgroup')),
            ],
            options={
                'ordering': ['at'],
                'indexes': [models.Index(fields=['tier', 'at'], name='errorcount_age')],
            },
        ),
        migrations.RunSQL(CURSORS, migrations.RunSQL.noop),
    ]
