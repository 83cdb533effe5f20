"""Reads of the in-app centre. What they cost does not grow with the number of notices."""

from dataclasses import dataclass

from apps.notifications.models import Notice, NoticePreference, Topic
from apps.notifications.policy import NOTICES_PER_PAGE, UNREAD_COUNTED_MAX
from apps.notifications.rules import OPTIONAL, Ways, ways_of


@dataclass(frozen=True, slots=True)
class NoticesPage:
    """The newest first. `older_than` is the cursor of the next page, None on the last one."""

    notices: list[Notice]
    older_than: int | None


def notices_of(*, user_id: int, before: int | None) -> NoticesPage:
    """One page; those with a smaller number than `before`, which is a page's `older_than`, else the newest."""
    rows = Notice.objects.filter(user_id=user_id).order_by("-id")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: NOTICES_PER_PAGE + 1])
    shown = found[:NOTICES_PER_PAGE]
    return NoticesPage(shown, shown[-1].pk if len(found) > NOTICES_PER_PAGE else None)


def count_unread(*, user_id: int) -> int:
    """Up to UNREAD_COUNTED_MAX: nobody reads a longer number, and counting ten thousand would cost each page."""
    return Notice.objects.filter(user_id=user_id, read_at=None).order_by()[:UNREAD_COUNTED_MAX].count()


def preference_of(*, user_id: int, topic: Topic) -> Ways | None:
    row = NoticePreference.objects.filter(user_id=user_id, topic=topic).first()
    return None if row is None else Ways(in_app=row.in_app, email=row.email)


def preferences_of(*, user_id: int) -> dict[Topic, Ways]:
    """What holds now for each optional topic."""
    rows = {row.topic: Ways(row.in_app, row.email) for row in NoticePreference.objects.filter(user_id=user_id)}
    return {topic: ways_of(topic, rows.get(topic)) for topic in OPTIONAL}
