"""Listen keys as the gateway keeps them: hash and SQL, no ORM. models/listenkeys.py says what a row is.

How to follow: version numbers and notifications as in credentials.py, with LATEST_END_SQL and ENDS_SQL. A prolongation
is nobody's news: a connection asks again (FIND_SQL) when the time that it knows of is over.
"""

import secrets
import string
from typing import Final

LIFETIME_S: Final = 60 * 60
LENGTH: Final = 64
ALPHABET: Final = string.ascii_letters + string.digits
# Rows of keys that are over are kept so long that every gateway has seen their end.
KEPT_S: Final = 24 * 60 * 60
# At most so many of them go with each new key: more than come, and the request stays a short one.
FORGOTTEN_MAX: Final = 10

# Parameter: the API key's id. One transaction at a time makes or finds its listen key.
LOCK_SQL: Final = "SELECT pg_advisory_xact_lock(x'6c697374'::int, hashtext(%s::text))"

# Parameters: lifetime in seconds, the API key's id. The valid one is prolonged; returns its box, or nothing.
PROLONG_OWN_SQL: Final = """
UPDATE accounts_listenkey SET expires_at = now() + make_interval(secs => %s)
 WHERE api_key_id = %s AND revoked_at IS NULL AND expires_at > now()
RETURNING box
"""

# Parameters: the API key's id, seconds, how many at most. The oldest ones go.
FORGET_SQL: Final = """
DELETE FROM accounts_listenkey WHERE id = ANY (ARRAY(
    SELECT id FROM accounts_listenkey
     WHERE api_key_id = %s AND expires_at < now() - make_interval(secs => %s) ORDER BY expires_at LIMIT %s
))
"""

# Parameters: hash, box, account, API key's id, lifetime in seconds.
ADD_SQL: Final = """
INSERT INTO accounts_listenkey (key_hash, box, account_id, api_key_id, created_at, expires_at, version)
VALUES (%s, %s, %s, %s, now(), now() + make_interval(secs => %s), 0)
"""

# Parameters: lifetime in seconds, hash, account. Returns a row if the account has this valid key.
PROLONG_SQL: Final = """
UPDATE accounts_listenkey SET expires_at = now() + make_interval(secs => %s)
 WHERE key_hash = %s AND account_id = %s AND revoked_at IS NULL AND expires_at > now()
RETURNING id
"""

# Parameters: hash, account. Returns a row if the account had this valid key. By its time it is over then too, so that
# the search for a valid one (PROLONG_OWN_SQL) never passes those that were ended.
END_SQL: Final = """
UPDATE accounts_listenkey SET revoked_at = now(), expires_at = now()
 WHERE key_hash = %s AND account_id = %s AND revoked_at IS NULL AND expires_at > now()
RETURNING id
"""

# Parameter: hash. Returns (id, account_id, API key, seconds left) of a valid key, or nothing.
FIND_SQL: Final = """
SELECT l.id, l.account_id, k.public_key, EXTRACT(EPOCH FROM l.expires_at - now())::float8
  FROM accounts_listenkey l JOIN accounts_apikey k ON k.id = l.api_key_id
 WHERE l.key_hash = %s AND l.revoked_at IS NULL AND l.expires_at > now()
"""

LATEST_END_SQL: Final = "SELECT COALESCE(max(version), 0) FROM accounts_listenkey WHERE version > 0"

# Parameter: the last version seen. Rows in version order: (id, version).
ENDS_SQL: Final = "SELECT id, version FROM accounts_listenkey WHERE version > %s ORDER BY version"


def new_listen_key() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
