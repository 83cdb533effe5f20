"""The site's ASGI application, served by `manage.py run_site` on a unix socket behind the gateway."""

import os

from nebannpet.routing import site_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nebannpet.settings")
os.environ.setdefault("NEBANNPET_PROCESS", "site")

application = site_application()
