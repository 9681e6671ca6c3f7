"""Runs that events are gathered for: rules with `collect`, and with `debounce: {for, max}`."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0005_deaths'),
    ]

    operations = [
        migrations.AddField(
            "triggeredrun",
            "signalled",
            models.BooleanField(
                db_default=False, default=False, help_text="It gave a signal to the run, which others had started."
            ),
        ),
        migrations.CreateModel(
            name='PendingStart',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('case_key', models.UUIDField(help_text='Of the rule and what tells its cases apart.', null=True, unique=True)),
                ('workflow', models.CharField(max_length=63)),
                ('trigger', models.CharField(help_text='Where the rule stands.', max_length=200)),
                ('rule', models.JSONField(help_text='The rule as it was when the first event came.')),
                ('type', models.CharField(blank=True, max_length=255)),
                ('business_key', models.CharField(max_length=200, null=True)),
                ('depth', models.PositiveIntegerField(default=1)),
                ('count', models.PositiveIntegerField(default=0, help_text='Events so far.')),
                ('size', models.PositiveIntegerField(default=0, help_text='Bytes that are kept of them.')),
                ('since', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('problem', models.TextField(blank=True, db_default='', default='', help_text='Why it could not be started.')),
            ],
            options={
                'ordering': ['due_at', 'id'],
                'indexes': [models.Index(fields=['due_at'], name='pending_due')],
            },
        ),
        migrations.CreateModel(
            name='PendingEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.UUIDField(help_text="The event's identity, as in `events_identity`.")),
                ('rule', models.UUIDField(help_text="The rule's key.")),
                ('partition', models.PositiveIntegerField()),
                ('position', models.BigIntegerField()),
                ('logged_at', models.DateTimeField()),
                ('value', models.TextField(help_text='What is kept of it, as JSON.')),
                ('pending', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='events.pendingstart')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('event', 'rule'), name='pending_event_once')],
            },
        ),
    ]
