"""Addresses of this app, included at the root of the site."""

from django.urls import path

from apps.accounts.views import (
    account,
    confirming,
    devices,
    entry,
    factors,
    letin,
    links,
    secondstep,
    subaccounts,
    tickets,
)

app_name = "accounts"

urlpatterns = [
    path("", entry.landing, name="landing"),
    path("account/sign-up", entry.sign_up_page, name="sign-up"),
    path("account/check-mail", links.check_mail, name="check-mail"),
    path("account/confirm/<str:token>", links.confirm_sign_up_page, name="confirm-sign-up"),
    path("account/forgot-password", links.forgot_password_page, name="forgot-password"),
    path("account/reset-password/<str:token>", links.reset_password_page, name="reset-password"),
    path("account/mail-phrase", links.mail_phrase_page, name="mail-phrase"),
    path("account/email", links.email_page, name="email"),
    path("account/email/<str:token>", links.confirm_email_page, name="confirm-email"),
    path("account/log-in", entry.LogInPage.as_view(), name="log-in"),
    path("account/log-in/code", secondstep.second_step_page, name="second-step"),
    path("account/log-in/lost", secondstep.lost_factor_action, name="lost-factor"),
    path("account/recover/<str:token>", secondstep.recover_page, name="recover"),
    path("account/confirm-it-is-you", confirming.confirm_page, name="confirm"),
    path("account/let-me-in", letin.ask_page, name="let-me-in"),
    path("account/let-me-in/<str:token>", letin.link_page, name="let-me-in-link"),
    path("account/log-out", entry.log_out, name="log-out"),
    path("account/", account.overview, name="overview"),
    path("account/two-factor", factors.two_factor_page, name="two-factor"),
    path("account/two-factor/begin", factors.begin_app_action, name="begin-authenticator-app"),
    path("account/two-factor/app", factors.app_page, name="authenticator-app"),
    path("account/two-factor/remove", factors.remove_app_action, name="remove-authenticator-app"),
    path("account/two-factor/recovery-codes", factors.recovery_codes_action, name="recovery-codes"),
    path("account/password", account.password_page, name="password"),
    path("account/devices", devices.devices_page, name="devices"),
    path("account/devices/<int:device_id>/forget", devices.forget_action, name="forget-device"),
    path("account/sessions/<int:session_id>/end", devices.end_action, name="end-session"),
    path("account/sessions/end-others", devices.end_others_action, name="end-other-sessions"),
    path("account/log-ins", devices.log_ins_page, name="log-ins"),
    path("account/api-keys", account.api_keys_page, name="api-keys"),
    path("account/api-keys/<int:key_id>/revoke", account.revoke_api_key_action, name="revoke-api-key"),
    path("account/sub-accounts", subaccounts.sub_accounts_page, name="sub-accounts"),
    path("account/sub-accounts/<int:account_id>", subaccounts.sub_account_page, name="sub-account"),
    path("account/sub-accounts/<int:account_id>/freeze", subaccounts.freeze_action, name="freeze-sub-account"),
    path("account/sub-accounts/<int:account_id>/unfreeze", subaccounts.unfreeze_action, name="unfreeze-sub-account"),
    path("account/sub-accounts/<int:account_id>/api-keys", account.api_keys_page, name="sub-account-api-keys"),
    path(
        "account/sub-accounts/<int:account_id>/api-keys/<int:key_id>/revoke",
        account.revoke_api_key_action,
        name="revoke-sub-account-api-key",
    ),
    path("trade/ticket", tickets.ticket, name="ticket"),
    path("trade/ticket/<int:account_id>", tickets.ticket, name="ticket-of-account"),
]
