"""Which admin site this is: the one of apps/accounts/staffsite.py."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "apps.accounts.staffsite.StaffSite"
