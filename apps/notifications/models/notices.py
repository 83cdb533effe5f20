"""The in-app centre: what a user was told, and what they want to be told."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.notifications.models.topics import Topic
from apps.notifications.policy import LINK_LENGTH_MAX, NOTICE_BODY_LENGTH_MAX, NOTICE_TITLE_LENGTH_MAX


class Notice(models.Model):
    """One message to one user, written in the transaction of what it tells about. Its texts never change.

    Both texts are plain, never markup. `link` is a path of this site, or empty.
    """

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    topic = models.CharField(max_length=16, choices=Topic)
    title = models.CharField(max_length=NOTICE_TITLE_LENGTH_MAX)
    body = models.CharField(max_length=NOTICE_BODY_LENGTH_MAX, blank=True)
    link = models.CharField(max_length=LINK_LENGTH_MAX, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=["user", "-id"], name="notifications_notice_user"),
            models.Index(fields=["user"], name="notifications_notice_unread", condition=models.Q(read_at__isnull=True)),
            models.Index(fields=["created_at"], name="notifications_notice_age"),
        )

    def __str__(self) -> str:
        return f"{self.pk}: {self.title}"


class NoticePreference(models.Model):
    """What a user chose for an optional topic; without a row the topic's default holds (rules.py)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    topic = models.CharField(max_length=16, choices=Topic)
    in_app = models.BooleanField()
    email = models.BooleanField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "topic"), name="notifications_preference_once"),)

    def __str__(self) -> str:
        return f"{self.topic} of user {self.user_id}"
