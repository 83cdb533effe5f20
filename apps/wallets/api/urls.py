"""Addresses of this app below /api/platform/v1."""

from django.urls import path

from apps.wallets.api import views

urlpatterns = [
    path("balances", views.BalancesView.as_view()),
    path("transfers", views.TransfersView.as_view()),
    path("transfers/<int:transfer_id>", views.TransferView.as_view()),
]
