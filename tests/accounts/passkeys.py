"""Users with a passkey, and what their browsers do with it, without a browser."""

import json
from typing import Any

from django.conf import settings
from django.test import Client

from apps.accounts.models import User
from apps.accounts.passkeyceremonies import Ceremonies
from tests.accounts.authenticator import Passkey

HOST = settings.PASSKEY_ORIGIN.partition("://")[2]


def browser(**options: Any) -> Client:
    """One at the address that passkeys work at; it checks CSRF like a real one."""
    return Client(enforce_csrf_checks=True, headers={"host": HOST}, **options)


def with_passkey(user: User, name: str = "phone") -> Passkey:
    """`user` has it from now on, by no page: nobody is told, and there are no recovery codes."""
    ceremonies, passkey = Ceremonies(), Passkey()
    options, state = ceremonies.register_begin(user)
    row = ceremonies.register_complete(user=user, state=state, data=json.loads(passkey.made(options)))
    type(row).objects.filter(pk=row.pk).update(name=name)
    return passkey


def asked(client: Client, purpose: str, *, status: int = 200) -> Any:
    """The question that the site has for an authenticator, or what it says instead."""
    logged_in = purpose in ("add", "confirm", "withdraw-key", "close-account")
    path = "/account/passkeys/options" if logged_in else "/login/passkey/options"
    token = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""
    answer = client.post(path, {"purpose": purpose, "csrfmiddlewaretoken": token})
    assert answer.status_code == status, answer.content
    said = answer.json()
    return said["publicKey"] if status == 200 else said["error"]


def log_in(client: Client, passkey: Passkey, **fields: str) -> Any:
    """By the passkey alone."""
    client.get("/login/passkey")
    answer = passkey.shown(asked(client, "log-in"))
    return send(client, "/login/passkey", passkey=answer, **fields)


def send(client: Client, path: str, **fields: str) -> Any:
    """POST of a form that the browser has open."""
    return client.post(path, {**fields, "csrfmiddlewaretoken": client.cookies["csrftoken"].value})
