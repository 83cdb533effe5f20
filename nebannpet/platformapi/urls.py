"""Addresses of the platform API: version 1 of it, and nothing else below its prefix."""

from django.urls import include, path, re_path

from apps.web.api.views import UnknownAddress
from nebannpet.platformapi.description import Description

app_name = "platform-api"

urlpatterns = [
    path("v1/", include("apps.audit.api.urls")),
    path("v1/", include("apps.controls.api.urls")),
    path("v1/", include("apps.notifications.api.urls")),
    path("v1/", include("apps.accounts.api.urls")),
    path("v1/", include("apps.orders.api.urls")),
    path("v1/", include("apps.wallets.api.urls")),
    path("v1/openapi.json", Description.as_view(), name="description"),
    re_path("^.*$", UnknownAddress.as_view()),
]
