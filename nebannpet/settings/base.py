"""Settings that development and production share. What differs between machines is an environment variable."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.common.contentpolicy import DIRECTIVES
from apps.streams.shards import DEFAULT_SHARD, SHARD_NUMBERS
from nebannpet import env
from nebannpet.logs import configure_logging
from nebannpet.paths import Paths
from nebannpet.relyingparty import relying_party
from nebannpet.roles import ROLE_OF_PROCESS
from nebannpet.settings.platformapi import REST_FRAMEWORK, SPECTACULAR_SETTINGS  # noqa: F401

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# -- Addresses and switches of the platform ---------------------------------------------------------------------------
DATA_DIR = env.directory("NEBANNPET_DATA", BASE_DIR / "data")
# Which markets this process works for (apps/streams/shards.py); all processes of one shard have the same.
SHARD = env.choice("SHARD", tuple(SHARD_NUMBERS), DEFAULT_SHARD)
PATHS = Paths(DATA_DIR, SHARD)
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)
PUBLIC_ORIGIN = env.origin("PUBLIC_ORIGIN", f"http://localhost:{PORT}")
# Name of the audit log and of the key that signs its checkpoints: host and path, without a scheme (docs/audit.md).
AUDIT_ORIGIN = env.text("AUDIT_ORIGIN", f"{PUBLIC_ORIGIN.partition('://')[2]}/audit")
# The last checkpoint that the sequencer signed here; apart from the database, so that SQL cannot reach it.
AUDIT_HEAD_FILE = env.directory("AUDIT_HEAD_FILE", DATA_DIR / "audit-checkpoint.head")
# Verifier keys that signed before the present key, after a change of it.
AUDIT_PREVIOUS_KEYS = env.words("AUDIT_PREVIOUS_KEYS")
# Days after which segments of the archive may go (apps/orders/archive/retention.py); 0 keeps everything.
ARCHIVE_KEEP_DAYS = env.integer("ARCHIVE_KEEP_DAYS", 0, minimum=0, maximum=36_500)
# Days for which candles of one second are kept (apps/markets/services/forgetting.py); 0 keeps all. The trades stay.
SECOND_CANDLES_KEEP_DAYS = env.integer("SECOND_CANDLES_KEEP_DAYS", 90, minimum=0, maximum=36_500)
# Which engine matches (apps/matching/engines.py): the compiled one where it is built, unless this says otherwise.
ENGINE = env.choice("ENGINE", ("best", "native", "plain"), "best")
# A second worker follows the log and takes over; a worker that follows counts as healthy then.
STANDBY = env.flag("STANDBY", False)
# Gateway processes that share HOST:PORT.
WEB_CONCURRENCY = env.integer("WEB_CONCURRENCY", 1, minimum=1, maximum=64)

# The process this is ('site', 'matching', ...): set by manage.py from the command's name; empty for other commands.
PROCESS = env.text("NEBANNPET_PROCESS", "")

# -- PostgreSQL and Redis: the embedded servers unless the environment names others -----------------------------------
DATABASE_URL = env.url(
    "DATABASE_URL",
    ("postgresql", "postgres"),
    f"postgresql:///nebannpet?host={quote(str(PATHS.postgres_socket_dir))}&user=nebannpet",
)
REDIS_CORE_URL = env.url(
    "REDIS_CORE_URL", ("redis", "rediss", "unix"), f"unix://{quote(str(PATHS.redis_socket('redis-core')))}"
)
# Where readers of the events read them. With a replica of redis-core on a second site here, an order is answered only
# once it is on both sites, because the answer comes from the events that the replica has.
REDIS_CORE_READ_URL = env.url("REDIS_CORE_READ_URL", ("redis", "rediss", "unix"), REDIS_CORE_URL)
REDIS_EDGE_URL = env.url(
    "REDIS_EDGE_URL", ("redis", "rediss", "unix"), f"unix://{quote(str(PATHS.redis_socket('redis-edge')))}"
)

# -- Back-pressure ----------------------------------------------------------------------------------------------------
# Beyond these the gateway refuses new orders with 503 and Retry-After; cancels and money commands pass. Each limit is
# over again at nine tenths of it (apps/gateway/pressure.py).
# Commands in the log that the engine has not done: by 15 ms for 2,000 of them (apps/matching/policy.py) a sixth of a
# second, so only an engine that stands still or is far slower than its orders gets there.
BACKLOG_FRAMES_MAX = env.integer("BACKLOG_FRAMES_MAX", 20_000, minimum=1, maximum=10**7)
# Events without their record in PostgreSQL: redis-core has the only copy of them, about 100 MB at 192 bytes each.
UNSETTLED_EVENTS_MAX = env.integer("UNSETTLED_EVENTS_MAX", 500_000, minimum=1, maximum=10**9)
# Private reads answer 503 as long as settlement is behind: nobody should trade blind for more than a minute.
SETTLEMENT_LAG_MAX_S = env.integer("SETTLEMENT_LAG_MAX_S", 60, minimum=1, maximum=86_400)
# Of redis-core's maxmemory. The rest is for cancels, money commands, their events, and a reader that is behind; at
# 100 % redis-core refuses every command (apps/streams/bus/scripts.py).
CORE_MEMORY_PERCENT_MAX = env.integer("CORE_MEMORY_PERCENT_MAX", 70, minimum=1, maximum=99)
# Free on the disk of the active worker's data directory, as that worker reports. Enough for a snapshot of a million
# orders (41 MB), for three of them, and for a rewrite of the append-only file beside the old one. 0 switches it off.
DISK_FREE_MIN_MB = env.integer("DISK_FREE_MIN_MB", 512, minimum=0, maximum=10**7)
# The engine has work and finishes none of it, as while a worker recovers: orders would wait until their time-out (5 s).
ENGINE_SILENT_MAX_S = env.integer("ENGINE_SILENT_MAX_S", 2, minimum=1, maximum=60)
# The events that this gateway reads are behind redis-core's, as when a replica is cut off: orders would be executed,
# but nobody could be told.
EVENTS_BEHIND_MAX_S = env.integer("EVENTS_BEHIND_MAX_S", 2, minimum=1, maximum=60)
# Plain HTTP connections that one client address may have at once, load balancers (TRUSTED_PROXIES) apart. A browser
# opens six and a busy bot some dozens, and a whole office may share an address.
HTTP_CONNECTIONS_PER_ADDRESS_MAX = env.integer("HTTP_CONNECTIONS_PER_ADDRESS_MAX", 1_000, minimum=1, maximum=65_000)

_conninfo: dict[str, Any] = conninfo_to_dict(DATABASE_URL)
DATABASE_DSN = make_conninfo(**_conninfo, application_name=f"nebannpet-{PROCESS or 'manage'}")
_options: dict[str, Any] = {
    key: value for key, value in _conninfo.items() if key not in {"dbname", "user", "password", "host", "port"}
}
_options["application_name"] = f"nebannpet-{PROCESS or 'manage'}"
# Each process works with the rights of its own database role (architecture.md section 6); migrations run as owner.
# As a start-up option, because OPTIONS['assume_role'] does not get along with the pool in Django 5.2.
DATABASE_ROLE = env.text("NEBANNPET_ROLE", ROLE_OF_PROCESS.get(PROCESS, ""))
_startup = [_options["options"]] if "options" in _options else []
if DATABASE_ROLE:
    _startup.append(f"-c role={DATABASE_ROLE}")
if PROCESS == "site":
    # Persistent connections do not work under ASGI; the pool does.
    _options["pool"] = {
        "min_size": 1,
        "max_size": env.integer("SITE_POOL_SIZE", 8, minimum=1, maximum=200),
        # Longer without a connection, and the page says that the database is away (nebannpet/errorpages.py).
        "timeout": 2,
    }
    _startup.append("-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=15s")
_options["options"] = " ".join(_startup)

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _conninfo.get("dbname", "nebannpet"),
        "USER": _conninfo.get("user", ""),
        "PASSWORD": _conninfo.get("password", ""),
        "HOST": _conninfo.get("host", ""),
        "PORT": _conninfo.get("port", ""),
        # Asks of each connection of the pool before its use: those from before a restart of PostgreSQL are all dead.
        "CONN_HEALTH_CHECKS": PROCESS == "site",
        "OPTIONS": _options,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_EDGE_URL}}

# Hints to open pages (apps/notifications/live). Without retries: whoever tells a user something does not wait.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_EDGE_URL, "socket_connect_timeout": 2, "retry": Retry(NoBackoff(), 0)}],
            "prefix": "live",
        },
    }
}
# Where pages open their sockets (nebannpet/routing.py); only the site process has any.
LIVE_PATH = "/live/" if PROCESS == "site" else ""

# -- Apps, low to high (a test keeps the import order) ----------------------------------------------------------------
INSTALLED_APPS = [
    "nebannpet.staffadmin.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_prometheus",
    "django_otp_webauthn",
    "drf_spectacular_sidecar",
    "nebannpet",
    "apps.matching",
    "apps.audit",
    "apps.outbox",
    "apps.controls",
    "apps.notifications",
    "apps.ledger",
    "apps.accounts",
    "apps.markets",
    "apps.orders",
    "apps.gateway",
    "apps.wallets",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "nebannpet.contentpolicy.ContentPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "nebannpet.static_files.StaticFiles",
    "apps.accounts.middleware.TurnMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.web.requests.RequestIdMiddleware",
    "apps.accounts.middleware.SessionLifetimeMiddleware",
    "apps.accounts.devicecookie.DeviceCookieMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "nebannpet.urls"
ASGI_APPLICATION = "nebannpet.asgi.application"
APPEND_SLASH = True
# Status and title of every error code of the platform API (apps/web/api/codes.py).
PLATFORM_API_PROBLEMS = "nebannpet.platformapi.codes.PROBLEMS"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.notifications.pagehead.banners",
                "apps.notifications.pagehead.live",
                "apps.notifications.pagehead.unread_notices",
            ],
            "builtins": ["apps.web.amountfilter"],
        },
    }
]

# -- Users and sessions -----------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.backends.ThrottledBackend"]
PASSWORD_HASHERS = ["apps.accounts.hashers.PlatformArgon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "apps.accounts.passwordwords.PlatformWordsValidator"},
]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
# The absolute limit; SessionLifetimeMiddleware enforces it and the idle limit of apps/accounts/policy.py.
SESSION_COOKIE_AGE = 12 * 3600
LOGIN_URL = "accounts:log-in"
LOGIN_REDIRECT_URL = "accounts:overview"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
# apps/accounts/devicecookie.py; secure where the session's is.
DEVICE_COOKIE_NAME = "device"
CSRF_TRUSTED_ORIGINS = [PUBLIC_ORIGIN]

# -- Passkeys (apps/accounts/passkeyceremonies.py) ---------------------------------------------------------------------
# They are bound to this name for ever: with another one, every user has to make new ones.
OTP_WEBAUTHN_RP_NAME = "Nebannpet"
OTP_WEBAUTHN_RP_ID, PASSKEY_ORIGIN = relying_party(PUBLIC_ORIGIN, env.text("PASSKEY_RP_ID", ""))
OTP_WEBAUTHN_ALLOWED_ORIGINS = [PASSKEY_ORIGIN]
# Ed25519, ECDSA with P-256, RSA with SHA-256 (Windows): every authenticator has one of them.
OTP_WEBAUTHN_SUPPORTED_COSE_ALGORITHMS = [-8, -7, -257]
# How long a question to an authenticator may be answered, here and in the browser.
OTP_WEBAUTHN_TIMEOUT_SECONDS = 300

# -- E-mail (apps/notifications) --------------------------------------------------------------------------------------
# Without a server, which only development allows, messages stay in the database: the mailbox at /dev/mail.
EMAIL_SERVER = env.email_server("EMAIL_URL")
DEFAULT_FROM_EMAIL = env.sender("DEFAULT_FROM", "Nebannpet <no-reply@localhost>")
# Where people answer; mails and pages name it.
SUPPORT_EMAIL = env.address("SUPPORT_EMAIL", "support@localhost")

# -- Headers ----------------------------------------------------------------------------------------------------------
# On every page, the staff admin included; nebannpet/contentpolicy.py adds Trusted Types.
CONTENT_SECURITY_POLICY = {"DIRECTIVES": DIRECTIVES}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

# -- Static files -----------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.directory("STATIC_ROOT", BASE_DIR / "staticfiles")
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/lightweight-charts", BASE_DIR / "node_modules" / "lightweight-charts" / "dist"),
]

# -- Language and time ------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "nebannpet.formats"

PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING_CONFIG = None
configure_logging(
    process=PROCESS or "manage",
    level=env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    style=env.choice("LOG_FORMAT", ("console", "json"), "console"),
)
