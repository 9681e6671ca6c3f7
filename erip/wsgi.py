"""The WSGI entry point, for servers that know no ASGI (`Prefer: wait` then answers 202 at once)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.production")
application = get_wsgi_application()
