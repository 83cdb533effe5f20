"""Addresses of this app below /api/platform/v1."""

from django.urls import path

from apps.audit.api import views

urlpatterns = [
    path("audit/checkpoint", views.CheckpointView.as_view()),
    path("audit/proofs/inclusion", views.InclusionView.as_view()),
    path("audit/proofs/consistency", views.ConsistencyView.as_view()),
]
