"""Rows of the in-app centre, and the texts of those that an e-mail brings with it.

templates/notifications/in_app/<template>.txt has the in-app text of the e-mail of that name: the first line is the
title, the rest the body, and a last line that begins with a slash is the link. An e-mail without one is not told in the
centre: those that answer whoever typed an address must not, since their links let one in, and since a row more would
tell by its cost that the address has an account (threat-T4).
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from apps.notifications.errors import InvalidNotice
from apps.notifications.live.hints import hint_notices_changed
from apps.notifications.models import Notice, Topic
from apps.notifications.policy import LINK_LENGTH_MAX, NOTICE_BODY_LENGTH_MAX, NOTICE_TITLE_LENGTH_MAX


def put(*, user_id: int, topic: Topic, title: str, body: str, link: str) -> Notice:
    """One insert, in the caller's transaction; open pages hear of it after the commit. Raises InvalidNotice."""
    check_texts(title=title, body=body, link=link)
    hint_notices_changed(user_id)
    return Notice.objects.create(user_id=user_id, topic=topic, title=title, body=body, link=link)


def put_text_of(*, template: str, context: Mapping[str, Any], user_id: int, topic: Topic) -> Notice | None:
    """The notice of an e-mail that has an in-app text."""
    try:
        text = str(
            render_to_string(f"notifications/in_app/{template}.txt", {**context, "support": settings.SUPPORT_EMAIL})
        )
    except TemplateDoesNotExist:
        return None
    # What a browser calls itself may have any characters; it must not keep a log-in from being told.
    text = "".join(each if each.isprintable() or each == "\n" else " " for each in text)
    title, _, rest = text.strip().partition("\n")
    body, _, last = rest.strip().rpartition("\n")
    if not last.startswith("/"):
        body, last = rest, ""
    body = body.strip()[:NOTICE_BODY_LENGTH_MAX]
    return put(user_id=user_id, topic=topic, title=title.strip(), body=body, link=last)


def check_texts(*, title: str, body: str, link: str) -> None:
    """Raises InvalidNotice. The title is one line, the body has as many as it likes."""
    if not title.isprintable() or not body.replace("\n", "").isprintable():
        raise InvalidNotice("The texts have characters that cannot be shown, or the title has more than one line.")
    if not 0 < len(title.strip()) <= NOTICE_TITLE_LENGTH_MAX:
        raise InvalidNotice(f"The title has 1 to {NOTICE_TITLE_LENGTH_MAX} characters, not {len(title.strip())}.")
    if len(body) > NOTICE_BODY_LENGTH_MAX:
        raise InvalidNotice(f"The body has at most {NOTICE_BODY_LENGTH_MAX} characters, not {len(body)}.")
    check_link(link)


def check_link(link: str) -> None:
    """Only ways within this site: a notice of ours never leads elsewhere. Raises InvalidNotice."""
    if not link:
        return
    if not is_own_path(link):
        raise InvalidNotice("A link is a path of this site: it begins with one slash, has no spaces, and is ASCII.")
    if len(link) > LINK_LENGTH_MAX:
        raise InvalidNotice(f"A link has at most {LINK_LENGTH_MAX} characters, not {len(link)}.")


def is_own_path(link: str) -> bool:
    """Browsers take a backslash for a slash, and drop control characters."""
    return (
        link.startswith("/")
        and not link.startswith("//")
        and "\\" not in link
        and link.isascii()
        and link.isprintable()
        and " " not in link
    )
