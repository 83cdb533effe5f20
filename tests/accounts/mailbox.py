"""Links out of queued e-mail, and sign-ups that follow them."""

import re
from typing import Any

from django.test import Client

from apps.accounts.models import User
from apps.accounts.services.signup import confirm_sign_up, sign_up
from apps.notifications.content import Content, unseal
from apps.notifications.models import OutgoingEmail

HERE = "198.51.100.7"
LINK = re.compile(r"https?://[^\s\"<]+(/account/(?:confirm|recover|reset-password|email|let-me-in)/[\w-]{43})")
LOCK = re.compile(r"https?://[^\s\"<]+(/account/lock/[\w-]{43})")


def newest(to: str, template: str = "") -> Content:
    """The newest message to `to`, or the newest of this template."""
    sent = OutgoingEmail.objects.filter(to=to)
    email = (sent.filter(template=template) if template else sent).latest("pk")
    assert email.content is not None
    return unseal(email.content, message_id=email.message_id)


def link_to(to: str) -> str:
    """The path of the link in the newest message to `to`; the same in text and HTML."""
    content = newest(to)
    found = {*LINK.findall(content.text), *LINK.findall(content.html)}
    assert len(found) == 1, content.text
    return str(found.pop())


def lock_link_to(to: str, template: str) -> str:
    """The path of the link that locks the account in the newest message of this template; the same in both forms."""
    content = newest(to, template)
    found = {*LOCK.findall(content.text), *LOCK.findall(content.html)}
    assert len(found) == 1, content.text
    return str(found.pop())


def token_of(path: str) -> str:
    return path.rsplit("/", 1)[1]


def signed_up(email: str, password: str) -> User:
    """A user who signed up and followed the link."""
    sign_up(email=email, password=password, client=HERE)
    user = confirm_sign_up(token=token_of(link_to(email)), password=password, client=HERE)
    assert user is not None
    return user


def submit(client: Client, path: str, page: str = "", **fields: str) -> Any:
    """POST with the CSRF token of the form on `page`, which is `path` unless given."""
    client.get(page or path)
    return client.post(path, {**fields, "csrfmiddlewaretoken": client.cookies["csrftoken"].value})
