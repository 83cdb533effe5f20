"""Django REST framework and the description of the platform API (docs/platform-api.md). Strings alone: nothing of them
is imported before the site's first request to the API."""

from typing import Any, Final

REST_FRAMEWORK: Final[dict[str, Any]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.api.authentication.KeyAuthentication",
        "apps.accounts.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.web.api.access.DeclaredAccess"],
    "DEFAULT_PARSER_CLASSES": ["apps.web.api.strictjson.StrictJson"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.web.api.strictjson.AlwaysJson",
    "DEFAULT_THROTTLE_CLASSES": ["apps.web.api.throttling.PerUser"],
    "DEFAULT_SCHEMA_CLASS": "apps.web.api.schema.PlatformSchema",
    "EXCEPTION_HANDLER": "apps.web.api.problems.answer_to",
    # The gateway says who a client is; no header of the client's does (threat-T19).
    "NUM_PROXIES": 0,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "Nebannpet platform API",
    "DESCRIPTION": "Accounts, sessions, keys, transfers, notices, switches and audit proofs.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/platform/v1",
    "POSTPROCESSING_HOOKS": ["apps.web.api.schema.refuse_unknown_fields"],
}
