"""Site paths: pages and the staff admin. The gateway answers the trading API and passes everything else on to these."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from nebannpet.cspreports import csp_report
from nebannpet.platformapi import pages

handler400 = "nebannpet.errorpages.bad_request"
handler500 = "nebannpet.errorpages.server_error"
urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("csp-report", csp_report, name="csp-report"),
    path("api/platform/", include("nebannpet.platformapi.urls")),
    path("docs/platform-api", pages.about, name="platform-api"),
    path("docs/platform-api/reference", pages.reference, name="platform-api-reference"),
    path("", include("apps.audit.urls")),
    path("", include("apps.notifications.urls")),
    path("", include("apps.accounts.urls")),
    path("", include("apps.markets.urls")),
    path("", include("apps.orders.urls")),
    path("", include("apps.gateway.urls")),
    path("", include("apps.wallets.urls")),
]
