"""Trading tickets as the gateway sees them: SQL, no ORM (architecture.md section 2, threat-T16).

The site makes a ticket for a logged-in page. The page opens `/ws-api/v3` and sends it in the first message,
`session.logon {ticket}`, never in a URL. The gateway consumes it with CONSUME_TICKET_SQL: one row comes back for
exactly one of any number of concurrent attempts, none for a ticket that is unknown, used, expired or revoked.
The row's id names the trading session from then on. When that row is revoked (site session ended, password
changed, user switched off), it appears in CREDENTIAL_CHANGES_SQL (credentials.py) and the gateway closes the socket.
"""

from typing import Final

# Parameter: hash_token of the ticket. Returns (id, account_id, user_id, limits tier, frozen) or nothing.
CONSUME_TICKET_SQL: Final = """
UPDATE accounts_tradingticket SET used_at = now()
 WHERE ticket_hash = %s AND used_at IS NULL AND expires_at > now() AND revoked_at IS NULL
RETURNING id, account_id, user_id,
          (SELECT tier FROM accounts_tradingaccount a WHERE a.id = accounts_tradingticket.account_id),
          (SELECT frozen_at IS NOT NULL FROM accounts_tradingaccount a WHERE a.id = accounts_tradingticket.account_id)
"""

# Parameter: the account's id. Returns its limits tier, and whether it is frozen.
ACCOUNT_SQL: Final = "SELECT tier, frozen_at IS NOT NULL FROM accounts_tradingaccount WHERE id = %s"
