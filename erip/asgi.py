"""The ASGI entry point, for gunicorn."""

import os
from importlib import import_module
from typing import cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.production")
from erip.foundation.http.request_threads import application as django_application

django = django_application()

# Their settings are ready only now.
from erip.access import callers  # noqa: E402
from erip.access.authentication import principal_of_bearer  # noqa: E402
from erip.access.guessing import WrongKeys  # noqa: E402
from erip.access.rates import KeyRates  # noqa: E402
from erip.celery import app as celery  # noqa: E402
from erip.foundation.hooks import light_routes  # noqa: E402
from erip.foundation.http.addresses import TrueClient  # noqa: E402
from erip.foundation.http.answers import SafeAnswers  # noqa: E402
from erip.foundation.http.door import Door  # noqa: E402
from erip.foundation.http.light.app import Light  # noqa: E402
from erip.foundation.http.limits import App  # noqa: E402
from erip.health import Health  # noqa: E402

routes = [route for routes in light_routes.all() for route in routes()]
_light = Light(cast(App, django), routes, principal_of_bearer)
guessing = WrongKeys(KeyRates(Door(_light, callers)))
application = TrueClient(SafeAnswers(Health(guessing)))
# Read now, before gunicorn forks, and not while the first client waits, or the first message to the broker.
import_module("erip.urls")
_ = celery.backend
