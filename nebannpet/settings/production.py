"""Production: refuses to start with DEBUG, demo data, default or weak secrets, or a missing address, and says which."""

from pathlib import Path

from nebannpet import env
from nebannpet.env import ConfigurationError
from nebannpet.relyingparty import has_passkeys
from nebannpet.settings.base import *  # noqa: F403
from nebannpet.settings.base import PUBLIC_ORIGIN

SECRET_LENGTH_MIN = 50


def _refusals() -> list[str]:
    found = []
    for name in (
        "SECRET_KEY", "CREDENTIALS_KEY", "AUDIT_KEY_FILE", "ALLOWED_HOSTS", "PUBLIC_ORIGIN", "EMAIL_URL",
        "DEFAULT_FROM", "SUPPORT_EMAIL",
    ):  # fmt: skip
        if not env.text(name, ""):
            found.append(f"{name} is not set.")
    for name in ("DATABASE_URL", "REDIS_CORE_URL", "REDIS_EDGE_URL"):
        if not env.text(name, ""):
            found.append(f"{name} is not set; the embedded servers are for development.")
    secret = env.text("SECRET_KEY", "")
    if secret and (len(secret) < SECRET_LENGTH_MIN or len(set(secret)) < 10 or secret.startswith("development-only")):
        found.append(f"SECRET_KEY is a default or too weak; use at least {SECRET_LENGTH_MIN} random characters.")
    key = env.text("CREDENTIALS_KEY", "")
    if key and (len(key) != 64 or not set(key) <= set("0123456789abcdef") or len(set(key)) < 8):
        found.append("CREDENTIALS_KEY must be 32 random bytes as 64 lower-case hexadecimal digits.")
    for name in ("DEBUG", "DEMO_DATA", "SIMULATOR"):
        if env.flag(name, False):
            found.append(f"{name} is for development; leave it out or set it to 0.")
    if env.text("CRASH_AT", ""):
        found.append("CRASH_AT kills processes on purpose, for tests; leave it out.")
    if not PUBLIC_ORIGIN.startswith("https://"):
        found.append("PUBLIC_ORIGIN must be https://, for example https://exchange.example.")
    elif not has_passkeys(PUBLIC_ORIGIN):
        found.append("PUBLIC_ORIGIN must have a host name: browsers have no passkeys for plain addresses.")
    if "*" in env.words("ALLOWED_HOSTS"):
        found.append("ALLOWED_HOSTS must name the hosts; '*' would accept any.")
    return found


if _found := _refusals():
    raise ConfigurationError(
        "NEBANNPET_ENV=production refuses to start:\n" + "\n".join(f"  - {line}" for line in _found)
    )

DEBUG = False
SIMULATOR = False
DEMO_DATA = False
DEV_MAILBOX = False
STAFF_NEED_PASSKEY = True
SECRET_KEY = env.text("SECRET_KEY")
CREDENTIALS_KEY = env.text("CREDENTIALS_KEY")
AUDIT_KEY_FILE = env.directory("AUDIT_KEY_FILE", Path())
AUDIT_KEY_IS_MADE = False
RATE_LIMIT_FACTOR = env.integer("RATE_LIMIT_FACTOR", 1, minimum=1, maximum=10_000)
ALLOWED_HOSTS = list(env.words("ALLOWED_HOSTS"))

SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# Browsers accept this prefix only from this exact host over HTTPS, so that no subdomain can plant a cookie (threat-T5).
SESSION_COOKIE_NAME = "__Host-session"
CSRF_COOKIE_NAME = "__Host-csrf"
DEVICE_COOKIE_NAME = "__Host-device"
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
# The owner of a domain decides whether browsers are shipped with it (docs/decisions/0018).
SECURE_HSTS_PRELOAD = False
SILENCED_SYSTEM_CHECKS = ["security.W021"]
# Here, too, and not at the load balancer alone.
SECURE_SSL_REDIRECT = True
# TLS ends at the load balancer, which sets this header itself and removes any that a client sent.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "nebannpet.static_files.HashedFiles"},
}
