"""Sessions of the site and the trading tickets that they get."""

from django.contrib.sessions.backends.db import SessionStore

from apps.accounts.models import User
from apps.accounts.services.tickets import issue_ticket
from tests.gateway.client import Client


def new_session(account_id: int) -> str:
    """A site session of the account's owner, as a log-in makes it."""
    session = SessionStore()
    session["_auth_user_id"] = str(User.objects.get(trading_accounts=account_id).pk)
    session.create()
    assert session.session_key is not None
    return str(session.session_key)


def ticket_of(client: Client, session_key: str, account_id: int | None = None) -> str:
    user = User.objects.get(trading_accounts=client.me.account_id)
    return issue_ticket(user_id=user.pk, session_key=session_key, account_id=account_id)
