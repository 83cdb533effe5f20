"""Addresses of this app, included at the root of the site."""

from django.urls import path

from apps.notifications import views

app_name = "notifications"

urlpatterns = [
    path("dev/mail", views.mailbox, name="mailbox"),
    path("dev/mail/<int:email_id>", views.message, name="message"),
    path("dev/mail/<int:email_id>/html", views.message_html, name="message-html"),
]
