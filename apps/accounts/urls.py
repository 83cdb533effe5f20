"""Addresses of this app, included at the root of the site."""

from django.urls import path

from apps.accounts.views import account, entry, tickets

app_name = "accounts"

urlpatterns = [
    path("", entry.landing, name="landing"),
    path("account/sign-up", entry.sign_up_page, name="sign-up"),
    path("account/log-in", entry.LogInPage.as_view(), name="log-in"),
    path("account/log-out", entry.log_out, name="log-out"),
    path("account/", account.overview, name="overview"),
    path("account/password", account.password_page, name="password"),
    path("account/api-keys", account.api_keys_page, name="api-keys"),
    path("account/api-keys/<int:key_id>/revoke", account.revoke_api_key_action, name="revoke-api-key"),
    path("trade/ticket", tickets.ticket, name="ticket"),
]
