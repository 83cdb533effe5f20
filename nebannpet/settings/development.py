"""`make run` and the tests: embedded servers, demo data, a live simulated market, plain HTTP on this machine only."""

from nebannpet import env
from nebannpet.settings.base import *  # noqa: F403
from nebannpet.settings.base import DATA_DIR, HOST, PUBLIC_ORIGIN

DEBUG = env.flag("DEBUG", False)
SIMULATOR = env.flag("SIMULATOR", True)
DEMO_DATA = env.flag("DEMO_DATA", True)

# Known to everyone who can read this file; production refuses it.
SECRET_KEY = env.text("SECRET_KEY", "development-only-secret-key-that-production-settings-refuse-to-start-with")
# Encrypts API key secrets and other credentials at rest: 32 bytes as 64 hexadecimal digits. Empty: a random one is
# made in the data directory at first use (nebannpet/masterkey.py). Production requires it.
CREDENTIALS_KEY = env.text("CREDENTIALS_KEY", "")
# Signs the audit log's checkpoints (apps/audit/keys.py). Without a name it is made in the data directory.
AUDIT_KEY_FILE = env.directory("AUDIT_KEY_FILE", DATA_DIR / "audit-checkpoint.key")
AUDIT_KEY_IS_MADE = not env.text("AUDIT_KEY_FILE", "")

# The page /dev/mail, which shows every e-mail to everyone.
DEV_MAILBOX = True

# An authenticator app is enough for staff.
STAFF_NEED_PASSKEY = False

# Rate limits of the API are so many times production's (apps/gateway/limits/tiers.py).
RATE_LIMIT_FACTOR = env.integer("RATE_LIMIT_FACTOR", 100, minimum=1, maximum=10_000)

ALLOWED_HOSTS = list(env.words("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]", "testserver", HOST)))
SESSION_COOKIE_SECURE = PUBLIC_ORIGIN.startswith("https://")
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE

# Files are looked up where they stand, so an edited script is served at the next reload.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
WHITENOISE_MAX_AGE = 0
