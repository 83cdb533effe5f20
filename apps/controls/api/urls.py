"""Addresses of this app below /api/platform/v1."""

from django.urls import path

from apps.controls.api import views

urlpatterns = [path("switches", views.SwitchesView.as_view())]
