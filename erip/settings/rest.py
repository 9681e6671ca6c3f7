"""Settings of the REST API: Django REST framework, its OpenAPI document, and the limits on what a request may
hold.
"""

REST_APPS = [
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "erip.access",
]

# For base.py. The first belongs first in MIDDLEWARE and the last belongs last; see their docstrings.
REST_MIDDLEWARE = ["workflows.api.wait.WaitMiddleware"]
LAST_MIDDLEWARE = [
    "erip.access.middleware.AdminContentPolicy",
    "erip.access.middleware.AdminAddresses",
    "erip.access.middleware.OneThread",
]

# Read by erip.foundation.http.limits. A bulk start carries up to 10,000 inputs, which do not fit into the common
# limit.
ERIP_API_BODY_LIMIT = 1024 * 1024
ERIP_API_BULK_BODY_LIMIT = 16 * 1024 * 1024
# `Prefer: wait=N` is capped here: proxies commonly cut an idle response at 60 s.
ERIP_API_MAX_WAIT_SECONDS = 60.0
# For how long a process trusts what it read about an API key: a revocation takes effect within this time.
ERIP_API_KEY_CACHE_SECONDS = 5.0

# Django's own limit guards the forms of the admin; the API's bodies are limited by the settings above.
DATA_UPLOAD_MAX_MEMORY_SIZE = ERIP_API_BODY_LIMIT

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # First, because its `WWW-Authenticate` header is what turns a missing key into 401 rather than 403.
        "erip.access.authentication.ApiKeyAuthentication",
        "erip.access.authentication.StaffSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["erip.access.has_scope.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["erip.foundation.http.parsers.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["erip.foundation.http.renderers.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "erip.foundation.http.renderers.OneRenderer",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "erip.foundation.http.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "ERIP",
    "DESCRIPTION": (
        "Enterprise-risk workflows that finish. "
        "A run that was accepted (202) survives the loss of any one node.\n\n"
        "Send an API key as `Authorization: Bearer erip_…`; `manage.py create_api_key` makes one. "
        "Every error is an RFC 9457 problem document that names each fault with its path."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RunStatus": "workflows.core.states.RunState",
        "StepStatus": "workflows.core.states.StepState",
        "Lane": "workflows.core.states.Lane",
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "persistAuthorization": False,
        "displayRequestDuration": True,
    },
    "TAGS": [
        {"name": "workflows", "description": "Definitions and their immutable versions."},
        {"name": "runs", "description": "Start runs, look at them, cancel them, run them again."},
        {"name": "events", "description": "Send events, read their log, see how far they are."},
        {"name": "subscriptions", "description": "Have events posted to a URL, and see what was delivered."},
        {"name": "monitoring", "description": "Health, metrics over time, alerts, and errors in groups."},
        {"name": "audit", "description": "Who did what, on what, from where and why."},
        {"name": "scaling", "description": "What the autoscaler did, and why."},
        {"name": "schemas", "description": "JSON Schemas of the documents that the API reads."},
    ],
}
