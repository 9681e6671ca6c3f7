"""Settings of the admin and of all that a browser sees: menu, login throttling, security headers."""

from csp.constants import NONE, SELF
from django.templatetags.static import static

# Unfold replaces templates of django.contrib.admin, so it comes first.
ADMIN_APPS = [
    "erip.access.admin_apps.Unfold",
    "unfold.contrib.filters",
    "erip.access.admin_apps.Admin",
    "csp",
]

AUTHENTICATION_BACKENDS = [
    "erip.access.backends.SlowedBackend",
    # It never checks a password; it resolves the users of sessions that it started.
    "django.contrib.auth.backends.ModelBackend",
]

# After signing in, users go here if `next` is missing or names another site.
LOGIN_REDIRECT_URL = "admin:index"

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
    "LOGIN": {"form": "erip.access.forms.LoginForm"},
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
    "DASHBOARD_CALLBACK": "erip.access.home.with_sections",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": True,
        # What the apps add: `erip.foundation.hooks.menu`.
        "navigation": "erip.access.menu.navigation",
    },
}
