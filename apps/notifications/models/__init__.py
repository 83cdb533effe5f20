"""E-mail on its way out, notices in the in-app centre, what each user wants of both, and banners."""

from apps.notifications.models.banners import Audience, Banner, BannerRecipient, Severity
from apps.notifications.models.emails import EmailState, OutgoingEmail
from apps.notifications.models.notices import Notice, NoticePreference
from apps.notifications.models.topics import Topic

__all__ = [
    "Audience",
    "Banner",
    "BannerRecipient",
    "EmailState",
    "Notice",
    "NoticePreference",
    "OutgoingEmail",
    "Severity",
    "Topic",
]
