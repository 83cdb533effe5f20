"""Trading tickets for logged-in pages. What ends a session revokes them, by triggers (migrations 0002 and 0003)."""

import secrets
from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import NoTradingAccount, TooManyTickets
from apps.accounts.models import TradingTicket
from apps.accounts.policy import TICKET_LIFETIME_S, TICKETS_PER_SESSION_MAX, TICKETS_PER_SESSION_WINDOW_S
from apps.accounts.selectors import main_account_id, own_account
from apps.accounts.tokens import hash_token
from apps.web.errors import SessionEnded


def issue_ticket(*, user_id: int, session_key: str, account_id: int | None = None) -> str:
    """A ticket that opens one trading socket within 30 s, as the user's account of that number, without one as the
    master account. Only its hash is stored.

    Locks the session's row: a log-out at the same moment either comes first (SessionEnded here) or waits, and its
    trigger then revokes this ticket too. Old unused tickets of the session are deleted on the way.
    Raises SessionEnded, TooManyTickets; NoTradingAccount also for another user's account.
    """
    now = timezone.now()
    window_start = now - timedelta(seconds=TICKETS_PER_SESSION_WINDOW_S)
    ticket = secrets.token_urlsafe(32)
    with transaction.atomic():
        if not Session.objects.select_for_update().filter(session_key=session_key, expire_date__gt=now).exists():
            raise SessionEnded("Your session has ended. Log in again to trade.")
        of_session = TradingTicket.objects.filter(session_key_hash=hash_token(session_key))
        of_session.filter(used_at=None, created_at__lte=window_start).delete()
        if of_session.filter(created_at__gt=window_start).count() >= TICKETS_PER_SESSION_MAX:
            raise TooManyTickets("Too many trading connections in a short time. Wait a minute and try again.")
        if account_id is None:
            account_id = main_account_id(user_id=user_id)
            if account_id is None:
                raise NoTradingAccount("This user has no trading account.")
        else:
            own_account(user_id=user_id, account_id=account_id)
        TradingTicket.objects.create(
            ticket_hash=hash_token(ticket),
            account_id=account_id,
            user_id=user_id,
            session_key_hash=hash_token(session_key),
            created_at=now,
            expires_at=now + timedelta(seconds=TICKET_LIFETIME_S),
        )
    return ticket
