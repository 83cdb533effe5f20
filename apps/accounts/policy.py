"""Limits of this app, each with its source."""

from datetime import timedelta
from typing import Final

# Trading accounts start here so that an account id is never mistaken for an asset or market id (small integers from 1).
FIRST_TRADING_ACCOUNT_ID: Final = 1001

PASSWORD_LENGTH_MIN: Final = 10
# Long enough for any passphrase; bounds the work that one request can ask of the hasher.
PASSWORD_LENGTH_MAX: Final = 128
EMAIL_LENGTH_MAX: Final = 254  # RFC 5321, 4.5.3.1.3

# The anti-phishing phrase of requirement A1: short enough to be read at a glance, too long to be guessed.
MAIL_PHRASE_LENGTH_MIN: Final = 4
MAIL_PHRASE_LENGTH_MAX: Final = 40
ZONE_LENGTH_MAX: Final = 64

# threat-T5: NIST SP 800-63B AAL2. The idle limit is checked at most once per SESSION_TOUCH_S.
SESSION_IDLE_S: Final = 60 * 60
SESSION_ABSOLUTE_S: Final = 12 * 60 * 60
SESSION_TOUCH_S: Final = 60

# threat-T1, requirement A7: what may fail before attempts are refused.
FAILURES_WINDOW_S: Final = 15 * 60
FAILURES_PER_SUBJECT_MAX: Final = 5  # one address from one network
FAILURES_PER_NETWORK_MAX: Final = 100  # any address from one network; offices and phone networks share one
# One address from everywhere: more from browsers that its owner never used need a link by e-mail first, so that many
# networks together guess no faster than this; and one browser of the owner's may guess as often.
FAILURES_PER_ACCOUNT_MAX: Final = 20
FAILURES_PER_ACCOUNT_WINDOW_S: Final = 60 * 60
ATTEMPTS_KEPT_S: Final = 24 * 60 * 60

# Devices, sessions and log-ins as their owner sees them (requirement A7). The oldest goes for one too many.
DEVICES_PER_USER_MAX: Final = 20
DEVICE_KEPT_S: Final = 365 * 24 * 60 * 60
# Of several users of one browser, so that none is asked for a link because another logged in.
DEVICE_TOKENS_PER_BROWSER_MAX: Final = 4
SESSIONS_PER_USER_MAX: Final = 20
LOG_INS_KEPT_S: Final = 180 * 24 * 60 * 60
LOG_INS_PER_USER_MAX: Final = 10_000
LOG_INS_PER_PAGE: Final = 50
BROWSER_LENGTH_MAX: Final = 40
ADDRESS_LENGTH_MAX: Final = 45  # an IPv6 address with an IPv4 one in it
FACTORS_LENGTH_MAX: Final = 100

# Links that were mailed, requirement A1. A reset lets one in, so it is short; a sign-up may wait for the evening.
SIGN_UP_LINK_S: Final = 24 * 60 * 60
RESET_LINK_S: Final = 30 * 60
CHANGE_LINK_S: Final = 2 * 60 * 60
# Those of a log-in live ten minutes at most (ASVS 6.5.5), as long as the password that was proved for one counts.
LET_IN_LINK_S: Final = 10 * 60
LOCK_LINK_S: Final = 7 * 24 * 60 * 60
# So that nobody's mailbox is flooded by our e-mail, whoever asks, and nobody floods many; and that nobody keeps a
# person from a link by asking first. Those of an address are counted for each purpose by itself.
LINKS_WINDOW_S: Final = 60 * 60
LINKS_PER_ADDRESS_MAX: Final = 5  # to one address, asked for from one network
# To one address, asked for from everywhere while a link lives, an hour at most: who is refused a new password for this
# reason has fifteen links in the mailbox that work.
LINKS_PER_MAILBOX_MAX: Final = 15
LINKS_PER_NETWORK_MAX: Final = 50  # of any purpose, to any address
LINKS_KEPT_S: Final = 7 * 24 * 60 * 60
# 19 MiB each. Others wait for their turn, at most so long; then the page says 503.
HASHES_AT_ONCE: Final = 2
HASH_QUEUE_S: Final = 5

# architecture.md section 2, "How the browser trades".
TICKET_LIFETIME_S: Final = 30
TICKETS_PER_SESSION_MAX: Final = 30
TICKETS_PER_SESSION_WINDOW_S: Final = 60

API_KEYS_PER_ACCOUNT_MAX: Final = 30
# Names the key of a signed request to the platform API.
API_KEY_HEADER: Final = "X-API-Key"
API_KEY_LENGTH: Final = 64
API_SECRET_LENGTH: Final = 64
API_KEY_LABEL_LENGTH_MAX: Final = 60
API_KEY_NETWORKS_MAX: Final = 30
# Requirement A5, threat-T6: how long a key may live, the one that the page proposes, and when its owner is told of its
# end, in days before.
API_KEY_LIFETIMES_DAYS: Final = (30, 90, 180, 365)
API_KEY_LIFETIME_DAYS: Final = 90
# How often the platform API writes that a key was used; the gateway has a time of its own.
API_KEY_USE_TOLD_S: Final = 60
API_KEY_EXPIRY_TOLD_DAYS: Final = (14, 3, 0)
# A6. A rule may divide a block order among 64 accounts; every account costs the engine memory for good.
SUB_ACCOUNTS_MAX: Final = 100
SUB_ACCOUNT_LABEL_LENGTH_MAX: Final = 40
# T12: rules by which one account may place block orders. The engine keeps all of them in memory.
ALLOCATION_RULES_PER_ACCOUNT_MAX: Final = 100
ALLOCATION_VERSIONS_SHOWN: Final = 50

# The decision on sensitive actions (rules.py). A4 and threat-T8: how long withdrawals are held after a change of the
# log-in; W3: how long an address is on the whitelist before it is paid.
WITHDRAWALS_HELD_S: Final = 24 * 60 * 60
LISTED_ADDRESS_COOL_DOWN_S: Final = 24 * 60 * 60
STEP_UP_S: Final = 15 * 60
# Of one field that is kept while its user confirms: bounds a session; the longest that a form of ours takes is 2,000.
TYPED_LENGTH_MAX: Final = 4_000
# Of a whole form of the staff admin, names and texts.
TYPED_FORM_LENGTH_MAX: Final = 20_000
# W10 and threat-T10: other staff members who agree, of a withdrawal above the limits and of what staff does with money.
WITHDRAWAL_APPROVALS: Final = 2
STAFF_MONEY_APPROVALS: Final = 1
# A3: all withdrawals of 24 hours together, in units (10^-8) of VALUE_ASSET; our choice, the requirement names none. The
# thresholds of an asset belong to the asset.
VALUE_ASSET: Final = "USDT"
HIGH_VALUE_TOTAL_UNITS: Final = 10_000 * 10**8

# Second factor, requirements A2 and A3. RFC 6238, 5.2: one step for the way of the code and for clocks that differ.
TOTP_STEP_S: Final = 30
TOTP_STEPS_OFF_MAX: Final = 1
# Who guesses codes knows the password; three of a million codes are right at any moment.
CODE_FAILURES_MAX: Final = 10
CODE_FAILURES_WINDOW_S: Final = 15 * 60
# Without a right one between them; then the password is to be set anew (NIST SP 800-63B, 5.2.2).
CODE_FAILURES_IN_A_ROW_MAX: Final = 100
# A secret that was shown and not confirmed by a code.
TOTP_SETUP_S: Final = 60 * 60
RECOVERY_CODES: Final = 10
# 120 random bits, 24 letters and digits: from 112 on ASVS 6.5.2 takes a plain hash.
RECOVERY_CODE_BYTES: Final = 15
# Between the password and the second step.
SECOND_STEP_S: Final = 10 * 60
RECOVERY_LINK_S: Final = SECOND_STEP_S

# The security centre, requirement A8; our choice. From which percent a score is called fair, or strong: none is strong
# without a second factor.
SCORE_FAIR: Final = 50
SCORE_STRONG: Final = 85
RECOVERY_CODES_LEFT_MIN: Final = 3
UNUSED_DEVICE_S: Final = 90 * 24 * 60 * 60
LOG_INS_IN_CENTRE: Final = 5

# Passkeys. A name is for the owner's eyes; an answer of an authenticator is 1-2 KB, and one with an attestation 5.
PASSKEYS_PER_USER_MAX: Final = 20
PASSKEY_NAME_LENGTH_MAX: Final = 40
PASSKEY_ANSWER_LENGTH_MAX: Final = 16 * 1024
# Questions to authenticators that wait for their answer, from one network: bounds what strangers can have us store.
PASSKEY_CHALLENGES_PER_NETWORK_MAX: Final = 300
# Without a recovery code: so many of staff, and so long for the owner to hear of it and to stop it (requirement A2).
LOST_FACTOR_APPROVERS: Final = 2
LOST_FACTOR_WAIT: Final = timedelta(hours=72)
# The file of own data has every order of the user: hours of reading, if asked for without end. Our choice.
OWN_FILES_PER_WINDOW_MAX: Final = 5
OWN_FILES_WINDOW_S: Final = 60 * 60
