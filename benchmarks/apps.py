from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    """Brings the trivial steps of the engine's benchmark and the command. Installed for local use and tests only."""

    name = "benchmarks"

    def ready(self) -> None:
        from . import marks

        marks.install()
