"""API keys and trading sessions as other processes follow them: SQL only, no ORM (architecture.md section 2).

Every change that a follower must see raises `version` on the row, from the sequence `credential_version_seq` that
keys and tickets share, and sends NOTIFY on CREDENTIALS_CHANNEL (payload: the version as text). Triggers do both, so
no code path can forget it. The triggers take one advisory transaction lock before they draw a version, and
PostgreSQL frees it after the commit is visible: versions become visible in rising order, so `version > last` never
skips a row. (Without the lock the later number can commit first; tests/accounts/test_version_order.py shows both.)

How to follow:
1. LISTEN credentials on an own autocommit connection.
2. last = LATEST_VERSION_SQL, then load what is needed (keys one by one on first use: API_KEY_SQL).
3. On each notification and every 500 ms: CREDENTIAL_CHANGES_SQL with (last, last), apply the rows in order,
   last = version of the last row. Rows are absolute, so applying one twice is harmless.
"""

from typing import Final

CREDENTIALS_CHANNEL: Final = "credentials"

# The lock of the triggers, for whoever looks at rows before changing them. Users, sessions and trading accounts are
# locked before it, rows of keys, tickets and listen keys after it: the order of migration 0002.
LOCK_CREDENTIALS_SQL: Final = "SELECT pg_advisory_xact_lock(x'63726564'::bigint)"

LATEST_VERSION_SQL: Final = """
SELECT GREATEST((SELECT COALESCE(max(version), 0) FROM accounts_apikey WHERE version > 0),
                (SELECT COALESCE(max(version), 0) FROM accounts_tradingticket WHERE version > 0))
"""

# Parameter: the public key. Returns one row or none:
# (id, public_key, secret_box, account_id, user_id, can_read, can_trade, revoked, version, limits tier, kind,
# verify_key, allowed networks, frozen, can_withdraw, end in microseconds or NULL). `revoked` is also true while the
# owner is switched off. secret_box opens with secrets.decrypt_secret; a kind other than 'hmac' has a verify_key instead
# (DER, SubjectPublicKeyInfo). `frozen` is the account's: it takes cancels and no orders. The end never changes: whoever
# has read it refuses the key from then on.
API_KEY_SQL: Final = """
SELECT k.id, k.public_key, k.secret_box, k.account_id, a.owner_id, k.can_read, k.can_trade,
       (k.revoked_at IS NOT NULL OR NOT u.is_active) AS revoked, k.version, a.tier,
       k.kind, k.verify_key, k.allowed_networks, a.frozen_at IS NOT NULL, k.can_withdraw,
       (extract(epoch FROM k.expires_at) * 1000000)::bigint
  FROM accounts_apikey k
  JOIN accounts_tradingaccount a ON a.id = k.account_id
  JOIN accounts_user u ON u.id = a.owner_id
 WHERE k.public_key = %s
"""

# Parameters: (last, last). Rows in version order:
# (kind 'key' | 'ticket', id, public_key or NULL, account_id, user_id, can_read, can_trade, revoked, version, tier,
# allowed networks, frozen, can_withdraw).
# A row of kind 'ticket' appears when that trading session is revoked (close its socket) and when its account's tier
# changes or the account is frozen or not any more; its rights never do, and are FALSE here.
CREDENTIAL_CHANGES_SQL: Final = """
SELECT 'key' AS kind, k.id, k.public_key, k.account_id, a.owner_id AS user_id, k.can_read, k.can_trade,
       (k.revoked_at IS NOT NULL OR NOT u.is_active) AS revoked, k.version, a.tier,
       k.allowed_networks, a.frozen_at IS NOT NULL, k.can_withdraw
  FROM accounts_apikey k
  JOIN accounts_tradingaccount a ON a.id = k.account_id
  JOIN accounts_user u ON u.id = a.owner_id
 WHERE k.version > %s
UNION ALL
SELECT 'ticket', t.id, NULL, t.account_id, t.user_id, FALSE, FALSE, t.revoked_at IS NOT NULL, t.version, a.tier,
       '{}'::varchar[], a.frozen_at IS NOT NULL, FALSE
  FROM accounts_tradingticket t
  JOIN accounts_tradingaccount a ON a.id = t.account_id
 WHERE t.version > %s
 ORDER BY version
"""

# Parameters: ids of keys, microseconds since 1970 and addresses, as long as each other. Returns the ids that were
# written, or had a later use already. A row that somebody else changes now is left for the next time: nothing waits.
LAST_USES_SQL: Final = """
WITH used AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::varchar[]) AS u(id, at_us, address)
), free AS (
    SELECT k.id, k.last_used_at FROM accounts_apikey k JOIN used ON used.id = k.id FOR NO KEY UPDATE OF k SKIP LOCKED
), written AS (
    UPDATE accounts_apikey k
       SET last_used_at = to_timestamp(0) + used.at_us * interval '1 microsecond', last_used_address = used.address
      FROM used, free
     WHERE k.id = used.id AND free.id = used.id
       AND (free.last_used_at IS NULL
            OR free.last_used_at < to_timestamp(0) + used.at_us * interval '1 microsecond')
)
SELECT id FROM free
"""
