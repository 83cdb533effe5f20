"""Putting banners on the pages and taking them off."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from apps.audit import actors
from apps.audit.services import record
from apps.notifications.centre import check_link
from apps.notifications.errors import BannerOver, InvalidBanner, InvalidNotice
from apps.notifications.models import Audience, Banner, BannerRecipient, Severity
from apps.notifications.policy import (
    BANNER_DAYS_MAX,
    BANNER_RECIPIENTS_MAX,
    BANNER_TEXT_LENGTH_MAX,
    BANNERS_MAX,
    LINK_TEXT_LENGTH_MAX,
    REASON_LENGTH_MAX,
)


def show_banner(
    *,
    text: str,
    severity: Severity,
    audience: Audience,
    starts_at: datetime,
    ends_at: datetime,
    made_by: str,
    reason: str,
    user_ids: Collection[int] = (),
    link: str = "",
    link_text: str = "",
    is_dismissible: bool = True,
) -> Banner:
    """Every page has it from `starts_at` to `ends_at`; pages that are open get it within seconds.

    In the caller's transaction, with an audit entry. `made_by` is a text of apps/audit/actors.py: of staff, of whoever
    runs a command, or the name of a process. `user_ids` are the chosen users, for Audience.CHOSEN alone. Raises
    InvalidBanner.
    """
    text, link_text, reason = text.strip(), link_text.strip(), reason.strip()
    _check_texts(text=text, link=link, link_text=link_text, reason=reason)
    _check_times(starts_at=starts_at, ends_at=ends_at)
    chosen = sorted(set(user_ids))
    _check_audience(Audience(audience), chosen)
    with transaction.atomic():
        _check_number()
        banner = Banner.objects.create(
            text=text, severity=Severity(severity), audience=audience, starts_at=starts_at, ends_at=ends_at, link=link,
            link_text=link_text, is_dismissible=is_dismissible, made_by=made_by, reason=reason,
        )  # fmt: skip
        BannerRecipient.objects.bulk_create(BannerRecipient(banner=banner, user_id=user_id) for user_id in chosen)
        record(
            actor=actors.named(made_by),
            action="banner.shown",
            object=f"banner:{banner.pk}",
            after={
                "text": text, "severity": str(banner.severity), "for": str(banner.audience), "users": str(len(chosen)),
                "from": starts_at.isoformat(), "until": ends_at.isoformat(), "link": link,
            },
            reason=reason,
        )  # fmt: skip
    return banner


def withdraw_banner(*, banner_id: int, asked_by: str, reason: str) -> None:
    """It leaves the pages at once. Raises BannerOver, and InvalidBanner without a reason."""
    reason = reason.strip()
    _check_reason(reason)
    with transaction.atomic():
        banner = Banner.objects.select_for_update().get(pk=banner_id)
        now = timezone.now()
        if banner.withdrawn_at is not None or banner.ends_at <= now:
            raise BannerOver(f"Banner {banner.pk} has ended already.")
        banner.withdrawn_at = now
        banner.save(update_fields=("withdrawn_at",))
        record(
            actor=actors.named(asked_by), action="banner.withdrawn", object=f"banner:{banner.pk}",
            before={"until": banner.ends_at.isoformat()}, after={"until": now.isoformat()}, reason=reason,
        )  # fmt: skip


def _check_texts(*, text: str, link: str, link_text: str, reason: str) -> None:
    if not 0 < len(text) <= BANNER_TEXT_LENGTH_MAX:
        raise InvalidBanner(f"The text has 1 to {BANNER_TEXT_LENGTH_MAX} characters, not {len(text)}.")
    if not text.isprintable() or not link_text.isprintable():
        raise InvalidBanner("The texts are one line each, of characters that can be shown.")
    if bool(link) != bool(link_text):
        raise InvalidBanner("A link needs a text, and a text of a link needs the link.")
    if len(link_text) > LINK_TEXT_LENGTH_MAX:
        raise InvalidBanner(f"The text of a link has at most {LINK_TEXT_LENGTH_MAX} characters, not {len(link_text)}.")
    try:
        check_link(link)
    except InvalidNotice as error:
        raise InvalidBanner(error.message) from error
    _check_reason(reason)


def _check_reason(reason: str) -> None:
    if not 0 < len(reason) <= REASON_LENGTH_MAX:
        raise InvalidBanner(f"Give a reason, of at most {REASON_LENGTH_MAX} characters.")


def _check_times(*, starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise InvalidBanner("It must end after it begins.")
    if ends_at <= timezone.now():
        raise InvalidBanner("It would have ended already.")
    if ends_at - starts_at > timedelta(days=BANNER_DAYS_MAX):
        raise InvalidBanner(
            f"It runs for {BANNER_DAYS_MAX} days at most: nobody sees any more what always stands there."
        )


def _check_audience(audience: Audience, chosen: list[int]) -> None:
    if (audience == Audience.CHOSEN) != bool(chosen):
        raise InvalidBanner("Users are named exactly if the banner is for chosen users.")
    if len(chosen) > BANNER_RECIPIENTS_MAX:
        raise InvalidBanner(f"At most {BANNER_RECIPIENTS_MAX} users can be chosen, not {len(chosen)}.")
    known = set(get_user_model()._default_manager.filter(pk__in=chosen).values_list("pk", flat=True))
    unknown = [user_id for user_id in chosen if user_id not in known]
    if unknown:
        raise InvalidBanner(f"There is no user {', '.join(map(str, unknown[:10]))}.")


def _check_number() -> None:
    """Two that are made at the same time count each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('nebannpet banners'))")
    running = Banner.objects.filter(withdrawn_at=None, ends_at__gt=timezone.now()).count()
    if running >= BANNERS_MAX:
        raise InvalidBanner(f"{running} banners run or wait already, and that is all there may be: withdraw one.")
