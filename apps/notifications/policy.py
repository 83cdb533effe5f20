"""Limits of e-mail, notices and banners, each with its reason."""

from typing import Final

# After the n-th failure the next attempt is so many seconds away: soon at first, because most refusals are a mail
# server's greylisting or restart; 16 hours in all, so that a night's outage of it is survived.
PAUSES_S: Final = (30, 2 * 60, 10 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600, 8 * 3600)
ATTEMPTS_MAX: Final = len(PAUSES_S) + 1

# One step of the talk with the mail server. An attempt takes about eight of them at most.
SMTP_STEP_TIMEOUT_S: Final = 10
# Nobody else tries a message for so long after an attempt began; longer than any attempt, shorter than a person waits.
CLAIM_S: Final = 180
# architecture.md section 6: stuck rows are nudged again so often, at most so many at once.
SWEEP_EVERY_S: Final = 30
SWEEP_ROWS_MAX: Final = 500
# What was sent or given up loses its content after a week: it may hold links, and nobody needs it any more.
CONTENT_KEPT_S: Final = 7 * 24 * 3600
# The row itself, which says to whom and about what: as long as somebody may ask what became of an e-mail.
ENDED_KEPT_S: Final = 90 * 24 * 3600

# RFC 5321, 4.5.3.1.3.
ADDRESS_LENGTH_MAX: Final = 254
# RFC 5322, 2.1.1: a line has at most 998 characters; mail programs show far fewer.
SUBJECT_LENGTH_MAX: Final = 150
REASON_LENGTH_MAX: Final = 200
ERROR_LENGTH_MAX: Final = 500
MAILBOX_ROWS_SHOWN: Final = 100

# A headline and a short paragraph: longer things have a page of their own, to which the link leads.
NOTICE_TITLE_LENGTH_MAX: Final = 120
NOTICE_BODY_LENGTH_MAX: Final = 1_000
LINK_LENGTH_MAX: Final = 200
NOTICES_PER_PAGE: Final = 25
# The page head says "99+" from here on.
UNREAD_COUNTED_MAX: Final = 100
# A year. What counts for longer is in the audit log and in the ledger.
NOTICES_KEPT_S: Final = 365 * 24 * 3600

# Two lines on a phone, three at most.
BANNER_TEXT_LENGTH_MAX: Final = 240
LINK_TEXT_LENGTH_MAX: Final = 40
# Running or to come. Each site process has them in memory with their recipients, and nobody reads more than a few.
BANNERS_MAX: Final = 20
BANNER_RECIPIENTS_MAX: Final = 10_000
BANNER_DAYS_MAX: Final = 90
# Site processes hear of a change at once, and look again so often in case they did not.
BANNERS_POLL_S: Final = 5
# What a browser remembers of banners that were closed in it: longer than a banner may run.
DISMISSED_KEPT_S: Final = 120 * 24 * 3600
DISMISSED_MAX: Final = 2 * BANNERS_MAX

# -- Sockets of pages (/live/), in each site process ------------------------------------------------------------------
# A page hears something so often at least; static/site/live.js gives a socket up after three and a half of these.
LIVE_PING_S: Final = 20.0
# All that one gateway passes on, twice over.
LIVE_SOCKETS_MAX: Final = 10_000
# Of visitors who are not logged in: less than one gateway passes on, so that there is room for those who are.
LIVE_SOCKETS_WITHOUT_SESSION_MAX: Final = 4_000
# Tabs of one browser; and of all visitors in one network (services/throttle.py) who are not logged in, as in an office.
LIVE_SOCKETS_PER_SESSION_MAX: Final = 20
LIVE_SOCKETS_PER_NETWORK_MAX: Final = 200
# The end of a session is known so long to whoever looks it up just then; the gateway waits for less.
LIVE_ENDS_KEPT_S: Final = 60.0
# Sockets whose session is being looked up; all pages come back at once after a restart, and find a queue no longer than
# what the gateway waits for (apps/gateway/policy.py, SITE_CONNECT_TIMEOUT_S). Those beyond it try again a little later.
LIVE_HANDSHAKES_MAX: Final = 200
# A request that tells a user something waits so long for redis-edge to take the hint.
LIVE_HINT_TIMEOUT_S: Final = 1.0
# Until the process asks redis-edge again for its place among those that take hints.
LIVE_HINTS_RETRY_S: Final = 10.0
