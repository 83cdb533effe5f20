"""Notices in the in-app centre, what their readers do with them, and what these want to be told."""

from collections.abc import Mapping

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.functions import Now

from apps.notifications import centre
from apps.notifications.errors import NoticeNotFound, TopicNotOptional
from apps.notifications.live.hints import hint_notices_changed
from apps.notifications.models import Notice, NoticePreference, Topic
from apps.notifications.rules import MANDATORY, OPTIONAL, Ways, ways_of
from apps.notifications.selectors import preference_of
from apps.notifications.services.emails import send_email


def notify(*, user_id: int, topic: Topic, title: str, body: str = "", link: str = "") -> Notice | None:
    """Tell a user something, by the ways that the topic's preferences allow; None where that is not the centre.

    In the caller's transaction: the notice, and the e-mail, are there exactly if what they tell about is. Texts are
    plain; `link` is a path of this site. Raises InvalidNotice.
    """
    centre.check_texts(title=title, body=body, link=link)
    ways = ways_of(topic, preference_of(user_id=user_id, topic=topic))
    if ways.email:
        user = get_user_model()._default_manager.get(pk=user_id)
        send_email(
            to=user.email,
            template="notice",
            context={
                "title": title,
                "body": body,
                "link": link,
                "phrase": user.mail_phrase,
                "optional": topic in OPTIONAL,
            },
            topic=topic,
            user_id=user_id,
        )
    return centre.put(user_id=user_id, topic=topic, title=title, body=body, link=link) if ways.in_app else None


def mark_read(*, user_id: int, notice_id: int) -> None:
    """Once more does nothing. Raises NoticeNotFound, of another user's notice too."""
    own = Notice.objects.filter(pk=notice_id, user_id=user_id)
    if own.filter(read_at=None).update(read_at=Now()):
        hint_notices_changed(user_id)
    elif not own.exists():
        raise NoticeNotFound(f"You have no notice {notice_id}.")


def mark_all_read(*, user_id: int, newest_id: int) -> int:
    """All up to and with `newest_id`, which is what the reader has seen; how many were not read before."""
    unread = Notice.objects.filter(user_id=user_id, pk__lte=newest_id, read_at=None)
    marked = unread.update(read_at=Now())
    if marked:
        hint_notices_changed(user_id)
    return marked


def set_preferences(*, user_id: int, chosen: Mapping[Topic, Ways]) -> None:
    """All of them or none. Raises TopicNotOptional."""
    for topic in chosen:
        if topic in MANDATORY:
            raise TopicNotOptional(f"Notices about {topic.label.lower()} cannot be turned off.")
    with transaction.atomic():
        for topic, ways in chosen.items():
            NoticePreference.objects.update_or_create(
                user_id=user_id, topic=topic, defaults={"in_app": ways.in_app, "email": ways.email}
            )
