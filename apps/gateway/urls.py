"""Addresses of this app's pages, included at the root of the site; the API itself never passes through Django."""

from django.urls import path

from apps.gateway import views
from apps.gateway.openapi.views import api_page

app_name = "gateway"

urlpatterns = [
    path("bots", views.bots, name="bots"),
    path("docs/api", api_page, name="api"),
]
