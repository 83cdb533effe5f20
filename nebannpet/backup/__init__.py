"""`manage.py backup` and `manage.py restore`: one consistent set of everything the exchange cannot compute again.

What belongs together at one point (architecture.md section 3)
    snapshots and archive   copied first, so that they are not ahead of the log
    PostgreSQL              as one transaction sees it; its watermark is not ahead of the log
    redis-core's log        up to the head at the moment right after that transaction began

The relay of the outbox numbers nothing between the last two, so the log holds no relayed command that the database
does not know. Whatever is appended later is not in the set. Layout of a set: manifest.py. Not in it: redis-edge, which
may be flushed at any moment, logs, sockets, and the key in CREDENTIALS_KEY (secrets.py).
"""
