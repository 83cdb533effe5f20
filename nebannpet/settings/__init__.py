"""NEBANNPET_ENV chooses the settings: development (default) or production."""

from nebannpet import env

ENVIRONMENT = env.choice("NEBANNPET_ENV", ("development", "production"), "development")

if ENVIRONMENT == "production":
    from nebannpet.settings.production import *  # noqa: F403
else:
    from nebannpet.settings.development import *  # noqa: F403
