from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="Backfill",
            fields=[
                (
                    "name",
                    models.CharField(
                        help_text="app.name, as its migration declares it.",
                        max_length=200,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("position", models.TextField(db_default="", default="")),
                (
                    "number",
                    models.PositiveIntegerField(
                        db_default=1, default=1, help_text="Which pass over the table this is."
                    ),
                ),
                (
                    "looked_at",
                    models.BigIntegerField(db_default=0, default=0, help_text="Rows of this pass so far."),
                ),
                (
                    "changed",
                    models.BigIntegerField(
                        db_default=0, default=0, help_text="Rows that were changed, in all passes."
                    ),
                ),
                ("met", models.BigIntegerField(db_default=0, default=0)),
                ("declared_at", models.DateTimeField(db_default=Now())),
                ("started_at", models.DateTimeField(null=True)),
                ("moved_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "erip_backfill", "ordering": ["declared_at", "name"], "default_permissions": ()},
        ),
    ]
