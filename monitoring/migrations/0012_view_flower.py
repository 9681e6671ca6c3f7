from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0011_recovery_records'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='frame',
            options={'ordering': ['tier', 'at'], 'permissions': [('scrape_metrics', 'Can scrape GET /metrics'), ('view_flower', "Can look at Flower, Celery's monitor")]},
        ),
    ]
