"""ERIP: the Django project. The workflows themselves live in the `workflows` app."""

# So that every process of the project publishes through ERIP's Celery app.
from erip.celery import app as celery_app

__all__ = ["celery_app"]
