"""Limits and time-outs of the trading API, each with its reason."""

from typing import Final

# A signed order is under 1 KB; everything larger is a mistake or an attack (threat-T22).
REQUEST_BYTES_MAX: Final = 16 * 1024
REQUEST_BODY_TIMEOUT_S: Final = 10.0
# The connection itself ends a moment later, so that an API answer about it arrives. Longer bodies, which only the site
# takes, have a second more for each so many bytes that came.
BODY_GRACE_S: Final = 1.0
BODY_BYTES_PER_S_MIN: Final = 16 * 1024
# Address and headers together; browsers with many cookies stay below 16 KB.
REQUEST_HEAD_BYTES_MAX: Final = 64 * 1024
# Requests of one connection that wait for the answers before them. Nothing is read meanwhile, so only what came in one
# piece or behind a body can be as much.
PIPELINE_MAX: Final = 15_000
REQUEST_HEAD_TIMEOUT_S: Final = 5.0

RECV_WINDOW_DEFAULT_MS: Final = 5_000
RECV_WINDOW_MAX_MS: Final = 60_000
CLOCK_AHEAD_MAX_MS: Final = 1_000
# From here on a time is in microseconds: in milliseconds it would be the year 5138.
MICROSECONDS_FROM: Final = 10**14

# Longer than any pause in which the engine still answers; then the outcome is reported as unknown (504 -1007).
REPLY_TIMEOUT_S: Final = 5.0
# A private read waits this long for settlement, then says so instead of answering from the past.
SETTLED_TIMEOUT_S: Final = 0.5
QUERY_TIMEOUT_S: Final = 2.0
POOL_TIMEOUT_S: Final = 0.5

# The limits of back-pressure are settings (nebannpet/settings/base.py).
CORE_POLL_S: Final = 0.1
# A poll unanswered for so long: redis-core is frozen or away.
CORE_SILENT_MAX_S: Final = 1.0
# An answered poll is believed for so long while this process itself comes to nothing; an order sent on an older one
# could meet a worker that takes over and gives it back as stale (5 s).
POLL_AGE_MAX_S: Final = 4.0
CORE_CONNECT_TIMEOUT_S: Final = 2.0
# A written command without an answer for so long, and the connection is given up: longer than a slow fsync, so that a
# pause is waited out, and shorter than REPLY_TIMEOUT_S, so that the next try comes while clients still wait.
PIPE_SILENT_MAX_S: Final = 3.0
# A worker that hands over leaves the lease free until the standby takes it: that polls every 0.1 s, so half a second at
# most. A request of this moment is in the log and waits for the next worker, well within REPLY_TIMEOUT_S and within the
# 5 s after which a worker that takes over gives stale orders back. Free for longer: nobody is there, and 503 is honest.
LEASE_GAP_MAX_S: Final = 1.0
RETRY_AFTER_S: Final = 1
CONNECT_AGAIN_S: Final = 5

FOLLOW_POLL_S: Final = 0.5
# Three polls missed: PostgreSQL is away, and what needs it is answered 503 at once.
POSTGRES_SILENT_MAX_S: Final = 1.6
# PostgreSQL away: known keys trade on for this long, then only their cancels pass.
KEYS_STALE_MAX_S: Final = 60.0
# More keys than are ever active in one process; the least recently used one is looked up again.
KEY_CACHE_MAX: Final = 50_000
# How soon after its end what is open by an API key ends; requests by it are refused from the moment on.
END_EXPIRED_EVERY_S: Final = 1.0
# When and from where a key was used last is written so often, and so many keys by one statement.
WRITE_USES_EVERY_S: Final = 60.0
WRITE_USES_MAX: Final = 1_000
# A key that does not exist is remembered this long, so that guessing does not become one query a request.
UNKNOWN_KEY_S: Final = 2.0
UNKNOWN_KEYS_MAX: Final = 10_000

# WebSockets (clients.md sections 5 and 6, threat-T17).
WS_FRAME_BYTES_MAX: Final = 64 * 1024
WS_PING_S: Final = 20.0
WS_PONG_TIMEOUT_S: Final = 60.0
STREAMS_PER_CONNECTION_MAX: Final = 1024
CONTROL_MESSAGES_PER_S: Final = 5
CLIENT_QUEUE_BYTES_MAX: Final = 1024 * 1024
CLIENT_QUEUE_MESSAGES_MAX: Final = 10_000
# At most so many bytes are joined for one client's write, and wait unread in its buffer before more are held back: this
# is each client's own memory, while the messages themselves are shared.
WRITE_BYTES_MAX: Final = 32 * 1024
# What the kernel takes for one client beyond what is on its way to it. Left to itself it takes 4 MB for each one that
# does not read, until all connections of the machine are short of memory, and calls it ready all that time.
UNSENT_BYTES_MAX: Final = 64 * 1024
# A client that has so much unread is not asked for further requests.
UNREAD_BYTES_MAX: Final = 64 * 1024
CLOSE_TIMEOUT_S: Final = 5.0
# One message that cannot be handed to the network for this long: the client does not read.
SEND_TIMEOUT_S: Final = 20.0
# Bytes that may wait for a client that sends pings and does not read the pongs.
PONG_BYTES_MAX: Final = 256 * 1024
# A connection too many is told so at its first request, if that comes soon.
REFUSED_CONNECTION_S: Final = 2.0
CONNECTION_LIFETIME_S: Final = 24 * 3600.0
# Request weight of opening a WebSocket, as in the dialect.
CONNECTION_WEIGHT: Final = 2
# Of each listen key that a stream connection names, as of a request about one.
LISTEN_KEY_WEIGHT: Final = 2
CONNECTIONS_MAX: Final = 10_000
# Beside them: plain HTTP, and what the process has open for itself.
OTHER_FILES: Final = 2_000
CONNECTIONS_PER_ADDRESS_MAX: Final = 300
WSAPI_IN_FLIGHT_MAX: Final = 64
# A request beyond that waits so long for one of them to end: what comes in one piece is no sign of an engine that
# stands still. Short, because all that the client sends meanwhile comes at once then, and counts as of one second.
WSAPI_ROOM_WAIT_S: Final = 0.25
WSAPI_REQUESTS_PER_S: Final = 500
# A page has a good ticket; somebody who tries tickets costs a query each.
LOGONS_FAILED_MAX: Final = 5
# Refused frames in a row before a WebSocket API connection is cut off: a client that sends only garbage is no client.
WSAPI_GARBAGE_MAX: Final = 20

# Pass-through to the site.
SITE_BODY_BYTES_MAX: Final = 10 * 1024 * 1024
SITE_CONNECTIONS_MAX: Final = 100
# Open pages: each has one socket (/live/), which tells it of banners and notices.
SITE_SOCKETS_MAX: Final = 5_000
# Of one customer's addresses (limits/admission.py), such as an office with many who are logged in.
SITE_SOCKETS_PER_ADDRESS_MAX: Final = 500
SITE_CONNECT_TIMEOUT_S: Final = 2.0
SITE_READ_TIMEOUT_S: Final = 30.0
