"""Banners: one text at the top of every page, for everyone or for some, while it holds."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.notifications.policy import BANNER_TEXT_LENGTH_MAX, LINK_LENGTH_MAX, LINK_TEXT_LENGTH_MAX, REASON_LENGTH_MAX


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Audience(models.TextChoices):
    """Chosen users are those of BannerRecipient: a cohort as it was when the banner was made."""

    EVERYONE = "everyone", "Everyone, logged in or not"
    LOGGED_IN = "logged-in", "Everyone who is logged in"
    CHOSEN = "chosen", "Chosen users"


class Banner(models.Model):
    """What it says never changes: it is withdrawn, and another is made. A trigger tells every site process of a change.

    Table `notifications_banner`, read without the ORM by shownbanners.py.
    """

    id = models.BigAutoField(primary_key=True)
    severity = models.CharField(max_length=8, choices=Severity)
    text = models.CharField(max_length=BANNER_TEXT_LENGTH_MAX)
    link = models.CharField(max_length=LINK_LENGTH_MAX, blank=True, help_text="A path of this site, such as /markets.")
    link_text = models.CharField(max_length=LINK_TEXT_LENGTH_MAX, blank=True, help_text="What the link says.")
    audience = models.CharField("for", max_length=12, choices=Audience)
    is_dismissible = models.BooleanField(
        "may be closed", default=True, help_text="Whoever has read it may close it, in that browser."
    )
    starts_at = models.DateTimeField("from (UTC)")
    ends_at = models.DateTimeField("until (UTC)")
    created_at = models.DateTimeField(db_default=Now())
    made_by = models.CharField(max_length=254)
    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="notifications_banner_ends_later"
            ),
        )
        indexes = (models.Index(fields=["ends_at"], name="notifications_banner_ends"),)
        permissions = (("withdraw_banner", "Can withdraw a banner"),)

    def __str__(self) -> str:
        return f"{self.pk}: {self.text[:60]}"


class BannerRecipient(models.Model):
    """One of the chosen users."""

    banner = models.ForeignKey(Banner, on_delete=models.CASCADE, related_name="recipients", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("banner", "user"), name="notifications_recipient_once"),)
        default_permissions = ()

    def __str__(self) -> str:
        return f"banner {self.banner_id} for user {self.user_id}"
