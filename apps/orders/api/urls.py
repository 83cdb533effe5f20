"""Addresses of this app below /api/platform/v1."""

from django.urls import path

from apps.orders.api import views

urlpatterns = [
    path("allocation-rules", views.RulesView.as_view()),
    path("allocation-rules/<int:rule_id>", views.RuleView.as_view()),
]
