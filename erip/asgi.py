"""The ASGI entry point, for gunicorn."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.production")
application = get_asgi_application()
