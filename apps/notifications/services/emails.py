"""Queuing e-mail. Delivering it is in apps/notifications/delivery.py."""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from apps.audit import actors
from apps.audit.services import record
from apps.notifications import centre
from apps.notifications.content import render, seal, unseal
from apps.notifications.errors import NotSendable
from apps.notifications.models import EmailState, OutgoingEmail, Topic
from apps.notifications.nudging import nudge


def send_email(
    *, to: str, template: str, context: Mapping[str, Any], topic: Topic, user_id: int | None = None
) -> OutgoingEmail:
    """Queue one message in the caller's transaction, and nudge Celery after its commit.

    The message is rendered now: it says what was true when it happened. What it tells a user about security stands in
    the in-app centre as well, where its template has a text for that (apps/notifications/centre.py).
    """
    message_id = _new_message_id()
    subject, content = render(template, context, to=to)
    email = OutgoingEmail.objects.create(
        to=to,
        user_id=user_id,
        topic=topic,
        template=template,
        subject=subject,
        content=seal(content, message_id=message_id),
        message_id=message_id,
    )
    transaction.on_commit(partial(nudge, email.pk))
    if topic == Topic.SECURITY and user_id is not None:
        centre.put_text_of(template=template, context=context, user_id=user_id, topic=topic)
    return email


def send_again(*, email_id: int, asked_by: str, reason: str) -> OutgoingEmail:
    """Queue a copy of an ended message, as a message of its own; the old one stays as it was. Raises NotSendable."""
    with transaction.atomic():
        old = OutgoingEmail.objects.select_for_update().get(pk=email_id)
        if old.state == EmailState.QUEUED:
            raise NotSendable(f"E-mail {old.pk} is on its way; it is tried again by itself.")
        if old.content is None:
            raise NotSendable(f"The content of e-mail {old.pk} is not kept any more; its cause must make a new one.")
        if not reason.strip():
            raise NotSendable("Give a reason.")
        message_id = _new_message_id()
        email = OutgoingEmail.objects.create(
            to=old.to,
            user_id=old.user_id,
            topic=old.topic,
            template=old.template,
            subject=old.subject,
            content=seal(unseal(old.content, message_id=old.message_id), message_id=message_id),
            message_id=message_id,
            again_of=old,
            asked_by=asked_by,
            reason=reason.strip(),
        )
        record(
            actor=actors.named(asked_by),
            action="email.sent-again",
            object=f"email:{old.pk}",
            after={"as": str(email.pk)},
            reason=email.reason,
        )
        transaction.on_commit(partial(nudge, email.pk))
    return email


def _new_message_id() -> str:
    """Unique everywhere (RFC 5322, 3.6.4), with the site's name on the right."""
    return f"<{uuid.uuid4().hex}@{urlsplit(settings.PUBLIC_ORIGIN).hostname}>"
