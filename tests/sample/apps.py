from django.apps import AppConfig


class SampleConfig(AppConfig):
    """An app with steps, as a user's would be: what the tests of the engine run."""

    name = "tests.sample"
    label = "sample"
    default_auto_field = "django.db.models.BigAutoField"
