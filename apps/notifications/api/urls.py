"""Addresses of this app below /api/platform/v1."""

from django.urls import path

from apps.notifications.api import views

urlpatterns = [
    path("notices", views.NoticesView.as_view()),
    path("notices/read", views.ReadAllView.as_view()),
    path("notices/preferences", views.PreferencesView.as_view()),
    path("notices/<int:notice_id>/read", views.ReadView.as_view()),
]
