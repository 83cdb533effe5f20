"""Which admin site this is: the one of apps/accounts/staffsite.py; its pages are loaded only where they are served."""

from django.conf import settings
from django.contrib.admin.apps import AdminConfig, SimpleAdminConfig

# A command that is no process of the exchange checks the pages, as `manage.py check` does.
HAS_PAGES = ("site", "")


class StaffAdminConfig(AdminConfig):
    default_site = "apps.accounts.staffsite.StaffSite"

    def ready(self) -> None:
        """Forms, widgets and pages of all apps are a tenth of what a process imports."""
        if settings.PROCESS in HAS_PAGES:
            super().ready()
        else:
            SimpleAdminConfig.ready(self)
