"""Addresses of this app's pages, included at the root of the site; the API itself never passes through Django."""

from django.urls import path

from apps.gateway import views

app_name = "gateway"

urlpatterns = [
    path("bots", views.bots, name="bots"),
]
