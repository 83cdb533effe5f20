"""E-mail on its way out, notices in the in-app centre, and what each user wants of both."""

from apps.notifications.models.emails import EmailState, OutgoingEmail
from apps.notifications.models.notices import Notice, NoticePreference
from apps.notifications.models.topics import Topic

__all__ = ["EmailState", "Notice", "NoticePreference", "OutgoingEmail", "Topic"]
