"""Rights in an emergency. Note [Break-glass] in `erip.access.break_glass_models`."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import erip.foundation.db.triggers
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0011_identities'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='BreakGlass',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('permissions', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), editable=False, size=None)),
                ('reason', models.TextField(editable=False)),
                ('minutes', models.PositiveSmallIntegerField(editable=False)),
                ('asked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('granted_by', models.CharField(blank=True, default='', editable=False, max_length=200)),
                ('granted_at', models.DateTimeField(editable=False, null=True)),
                ('ends_at', models.DateTimeField(editable=False, null=True)),
                ('ended_at', models.DateTimeField(editable=False, null=True)),
                ('ended_by', models.CharField(blank=True, default='', editable=False, max_length=200)),
                ('reviewed_by', models.CharField(blank=True, default='', editable=False, max_length=200)),
                ('reviewed_at', models.DateTimeField(editable=False, null=True)),
                ('review', models.TextField(blank=True, default='', editable=False)),
                ('seal', models.CharField(blank=True, default='', editable=False, max_length=100)),
                ('begin_said_at', models.DateTimeField(editable=False, null=True)),
                ('end_said_at', models.DateTimeField(editable=False, null=True)),
                ('holder', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'emergency access',
                'verbose_name_plural': 'emergency access',
                'ordering': ['-id'],
                'permissions': [('grant_breakglass', 'Can grant emergency access'), ('end_breakglass', 'Can end emergency access'), ('review_breakglass', 'Can review emergency access')],
                'indexes': [models.Index(condition=models.Q(('ended_at__isnull', True), ('granted_at__isnull', False)), fields=['holder'], name='access_breakglass_open'), models.Index(condition=models.Q(('end_said_at', None), ('granted_at__isnull', False)), fields=['id'], name='access_breakglass_unsaid')],
                'constraints': [models.CheckConstraint(condition=models.Q(('minutes__gte', 1), ('minutes__lte', 60)), name='access_breakglass_minutes'), models.CheckConstraint(condition=models.Q(models.Q(('permissions', []), _negated=True), models.Q(('permissions__contains', ['*']), _negated=True), models.Q(('reason', ''), _negated=True)), name='access_breakglass_named'), models.CheckConstraint(condition=models.Q(models.Q(('ends_at', None), ('granted_at', None)), models.Q(('ends_at__gt', models.F('granted_at')), ('granted_at__isnull', False)), _connector='OR'), name='access_breakglass_ends')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breakglass',
            trigger=pgtrigger.compiler.Trigger(name='breakglass_asked', sql=erip.foundation.db.triggers.FirmSql(func="\n    IF NEW.granted_by <> '' OR NEW.granted_at IS NOT NULL OR NEW.ends_at IS NOT NULL OR NEW.ended_at IS NOT NULL\n       OR NEW.reviewed_at IS NOT NULL OR NEW.seal <> '' OR NEW.begin_said_at IS NOT NULL OR NEW.end_said_at IS NOT NULL\n    THEN\n        RAISE EXCEPTION 'what is asked for is granted afterwards, by somebody else';\n    END IF;\n    IF NOT EXISTS (SELECT FROM auth_user u WHERE u.id = NEW.holder_id AND u.is_active) THEN\n        RAISE EXCEPTION 'only active people ask';\n    END IF;\n    NEW.asked_at := clock_timestamp();\n    RETURN NEW;\n", hash='4ff498e7db8f87604d01b0afaff00ae4b1ad9068', operation='INSERT', pgid='pgtrigger_breakglass_asked_b9699', table='access_breakglass', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breakglass',
            trigger=pgtrigger.compiler.Trigger(name='breakglass_granted', sql=erip.foundation.db.triggers.FirmSql(func="\n    IF (NEW.holder_id, NEW.permissions, NEW.reason, NEW.minutes, NEW.asked_at) IS DISTINCT FROM\n       (OLD.holder_id, OLD.permissions, OLD.reason, OLD.minutes, OLD.asked_at) THEN\n        RAISE EXCEPTION 'what was asked for cannot be changed';\n    END IF;\n    IF OLD.granted_at IS NULL AND NEW.granted_at IS NOT NULL THEN\n        IF OLD.ended_at IS NOT NULL OR OLD.asked_at < clock_timestamp() - interval '60 minutes' THEN\n            RAISE EXCEPTION 'this request has ended';\n        END IF;\n        IF NOT EXISTS (SELECT FROM auth_user u WHERE u.id = NEW.holder_id AND u.is_active)\n           OR NOT EXISTS (SELECT FROM auth_user u\n                          WHERE 'user:' || u.username = NEW.granted_by AND u.is_active AND u.id <> NEW.holder_id) THEN\n            RAISE EXCEPTION 'another active person grants it';\n        END IF;\n        NEW.granted_at := clock_timestamp();\n        NEW.ends_at := NEW.granted_at + make_interval(mins => NEW.minutes);\n        NEW.seal := '';\n        NEW.begin_said_at := NULL;\n        NEW.end_said_at := NULL;\n    ELSIF (NEW.granted_by, NEW.granted_at, NEW.ends_at) IS DISTINCT FROM (OLD.granted_by, OLD.granted_at, OLD.ends_at)\n    THEN\n        RAISE EXCEPTION 'it is granted once, for the minutes that were asked for';\n    END IF;\n    IF OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL THEN\n        NEW.ended_at := clock_timestamp();\n    ELSIF (NEW.ended_at, NEW.ended_by) IS DISTINCT FROM (OLD.ended_at, OLD.ended_by) THEN\n        RAISE EXCEPTION 'what has ended has ended';\n    END IF;\n    IF OLD.reviewed_at IS NULL AND NEW.reviewed_at IS NOT NULL THEN\n        IF NEW.granted_at IS NULL OR (NEW.ended_at IS NULL AND NEW.ends_at > clock_timestamp())\n           OR NOT EXISTS (SELECT FROM auth_user u\n                          WHERE 'user:' || u.username = NEW.reviewed_by AND u.is_active AND u.id <> NEW.holder_id) THEN\n            RAISE EXCEPTION 'another active person reviews it, afterwards';\n        END IF;\n        NEW.reviewed_at := clock_timestamp();\n    ELSIF (NEW.reviewed_at, NEW.reviewed_by, NEW.review) IS DISTINCT FROM (OLD.reviewed_at, OLD.reviewed_by, OLD.review)\n    THEN\n        RAISE EXCEPTION 'it is reviewed once';\n    END IF;\n    IF NEW.seal <> OLD.seal AND (OLD.seal <> '' OR OLD.granted_at IS NULL) THEN\n        RAISE EXCEPTION 'it is sealed once';\n    END IF;\n    IF (OLD.begin_said_at IS NOT NULL AND NEW.begin_said_at IS DISTINCT FROM OLD.begin_said_at)\n       OR (OLD.end_said_at IS NOT NULL AND NEW.end_said_at IS DISTINCT FROM OLD.end_said_at)\n       OR (NEW.end_said_at IS NOT NULL\n           AND (NEW.granted_at IS NULL OR (NEW.ended_at IS NULL AND NEW.ends_at > clock_timestamp()))) THEN\n        RAISE EXCEPTION 'its end is said once, afterwards';\n    END IF;\n    RETURN NEW;\n", hash='b915f520fbcc2653170acf53ba5ea3f53919f032', operation='UPDATE', pgid='pgtrigger_breakglass_granted_bc985', table='access_breakglass', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breakglass',
            trigger=pgtrigger.compiler.Trigger(name='breakglass_kept', sql=erip.foundation.db.triggers.FirmSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='21522bad37bf86dee6b07ad2d189951f39c1006f', operation='DELETE', pgid='pgtrigger_breakglass_kept_59f4e', table='access_breakglass', when='BEFORE')),
        ),
    ]
