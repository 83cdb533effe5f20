"""Trading tickets: how a logged-in page gets a trading socket (architecture.md section 2)."""

from django.db import models

from apps.accounts.models.users import TradingAccount, User


class TradingTicket(models.Model):
    """A one-use ticket and, once used, the trading session that it opened.

    Table `accounts_tradingticket`, used by the gateway without the ORM (tickets.py, credentials.py):
        id bigint · ticket_hash bytea(32) unique · account_id, user_id bigint · session_key_hash bytea(32) ·
        created_at, expires_at, used_at, revoked_at timestamptz · version bigint

    used_at is set once, by the gateway's CONSUME_TICKET_SQL. revoked_at is set by triggers when the
    site session's row is deleted (log-out, expiry), at a password change and when the user is switched off, and by
    staff; a trigger then writes `version`. It stays 0 before that: an unused ticket is nobody's news.
    """

    ticket_hash = models.BinaryField(unique=True, editable=False)
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="tickets")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tickets")
    session_key_hash = models.BinaryField(editable=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    version = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(fields=("version",), name="accounts_ticket_version", condition=models.Q(version__gt=0)),
            models.Index(fields=("session_key_hash", "created_at"), name="accounts_ticket_session"),
        )

    def __str__(self) -> str:
        return f"Ticket {self.pk} of account {self.account_id}"
