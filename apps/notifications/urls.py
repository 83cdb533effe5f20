"""Addresses of this app, included at the root of the site."""

from django.urls import path

from apps.notifications.views import banners, centre, mailbox

app_name = "notifications"

urlpatterns = [
    path("account/notices", centre.notices_page, name="notices"),
    path("account/notices/read", centre.read_all, name="read-all"),
    path("account/notices/<int:notice_id>/read", centre.read_one, name="read-one"),
    path("account/notices/preferences", centre.preferences_page, name="preferences"),
    path("banners/<int:banner_id>/dismiss", banners.dismiss, name="dismiss-banner"),
    path("dev/mail", mailbox.mailbox, name="mailbox"),
    path("dev/mail/<int:email_id>", mailbox.message, name="message"),
    path("dev/mail/<int:email_id>/html", mailbox.message_html, name="message-html"),
]
