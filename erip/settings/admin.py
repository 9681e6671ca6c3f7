"""Settings of the admin and of all that a browser sees: menu, login throttling, security headers."""

from datetime import timedelta

from csp.constants import NONE, SELF
from django.templatetags.static import static

# Unfold replaces templates of django.contrib.admin, so it stands before it.
ADMIN_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "axes",
    "csp",
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]

# Five wrong passwords for one name from one address close the login to that pair for a quarter of an hour.
# The pair, and not the name alone, so that a stranger cannot lock an administrator out.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_SENSITIVE_PARAMETERS = ["username", "password"]
AXES_VERBOSE = False
# Its page lets whoever may look at the attempts delete those that have expired.
AXES_ENABLE_ADMIN = False

FORMAT_MODULE_PATH = ["erip.access.formats"]

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_SAMESITE = "Lax"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        # Swagger UI, Unfold and the reports set style attributes.
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
    },
}

UNFOLD = {
    "SITE_TITLE": "ERIP",
    "SITE_HEADER": "ERIP",
    "SITE_SUBHEADER": "Enterprise-risk workflows",
    "SITE_SYMBOL": "shield",
    "SITE_URL": "/api/docs",
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "sizes": "any",
            "type": "image/svg+xml",
            "href": lambda request: static("access/favicon.svg"),
        },
    ],
    "STYLES": [lambda request: static("access/admin.css")],
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": True,
        # What the apps add: `erip.foundation.hooks.menu`.
        "navigation": "erip.access.menu.navigation",
    },
}
