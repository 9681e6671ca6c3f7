"""The ASGI entry point, for gunicorn."""

import os
from importlib import import_module
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.production")
django = get_asgi_application()

from erip.health import Health  # noqa: E402  (its settings are ready only now)
from workflows.api.limits import App, BodyLimit  # noqa: E402

application = Health(BodyLimit(cast(App, django)))
# Read now, before gunicorn forks, and not while the first client waits.
import_module("erip.urls")
