"""What a message says: rendered from templates/notifications/email/<template>.txt and .html, and kept sealed.

The first line of the text is the subject. Both extend a base that adds the product's name, the reader's anti-phishing
phrase (`phrase` of the context) and whom it was sent to.
Templates are told `origin`, the configured address of the site, for links: a Host header never makes one;
and `support`, the address at which people answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.conf import settings
from django.template.loader import render_to_string

from apps.common.boxes import BoxClosed, UnknownBoxFormat, cipher, close_box, open_box
from apps.notifications.errors import ContentUnreadable
from apps.notifications.policy import SUBJECT_LENGTH_MAX
from nebannpet.masterkey import master_key

_KIND: Final = b"nebannpet e-mail content, aes-256-gcm, v1"


@dataclass(frozen=True, slots=True)
class Content:
    text: str
    html: str


def render(template: str, context: Mapping[str, Any], *, to: str) -> tuple[str, Content]:
    """The subject, and the two forms of the message."""
    known = {**context, "origin": settings.PUBLIC_ORIGIN, "support": settings.SUPPORT_EMAIL, "to": to}
    subject, _, text = render_to_string(f"notifications/email/{template}.txt", known).partition("\n")
    subject = subject.strip()
    assert 0 < len(subject) <= SUBJECT_LENGTH_MAX, f"{template}.txt: the first line is the subject, not {subject!r}"
    html = render_to_string(f"notifications/email/{template}.html", {**known, "subject": subject})
    # Plain strings: what Django marked as safe is a class of its own.
    return subject, Content(text.strip() + "\n", html.strip() + "\n")


def seal(content: Content, *, message_id: str) -> bytes:
    return close_box(cipher(master_key(), _KIND), message_id.encode(), msgspec.json.encode(content))


def unseal(box: bytes | memoryview, *, message_id: str) -> Content:
    """Raises ContentUnreadable."""
    try:
        return msgspec.json.decode(open_box(cipher(master_key(), _KIND), message_id.encode(), box), type=Content)
    except (UnknownBoxFormat, BoxClosed) as error:
        raise ContentUnreadable(
            "The content of this e-mail does not open: CREDENTIALS_KEY is not the one it was made with, "
            "or the row was altered."
        ) from error
