"""Addresses of this app below /api/platform/v1."""

from django.urls import path

from apps.accounts.api import accounts, keys, profile, sessions

urlpatterns = [
    path("profile", profile.ProfileView.as_view()),
    path("confirmations", profile.ConfirmationsView.as_view()),
    path("sessions", sessions.SessionsView.as_view()),
    path("sessions/end-others", sessions.EndOthersView.as_view()),
    path("sessions/<int:session_id>", sessions.SessionView.as_view()),
    path("api-keys", keys.KeysView.as_view()),
    path("api-keys/<int:key_id>", keys.KeyView.as_view()),
    path("accounts", accounts.AccountsView.as_view()),
    path("accounts/<int:account_id>", accounts.AccountView.as_view()),
    path("accounts/<int:account_id>/freeze", accounts.FreezeView.as_view()),
    path("accounts/<int:account_id>/unfreeze", accounts.UnfreezeView.as_view()),
]
