"""Telling people something: by e-mail, in the in-app centre, by a banner."""

from apps.notifications.services.banners import show_banner, withdraw_banner
from apps.notifications.services.emails import send_again, send_email
from apps.notifications.services.notices import mark_all_read, mark_read, notify, set_preferences

__all__ = [
    "mark_all_read",
    "mark_read",
    "notify",
    "send_again",
    "send_email",
    "set_preferences",
    "show_banner",
    "withdraw_banner",
]
