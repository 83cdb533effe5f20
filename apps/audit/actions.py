"""Every action that the audit log knows, with what it means. A name stands in entries for ever: never change one."""

from typing import Final

# Actions of which only the sequencer tells; the database refuses them from anybody else.
OWN_ACTIONS: Final = "audit."
# Actions that are counted by the minute; the database counts no other (migrations/0003_count.py).
COUNTED: Final = frozenset({"user.log-in-failures"})

# What older releases recorded and this one does not: their entries keep a meaning.
FORMER: Final = {
    "admin.added": "Staff added a row in the admin.",
    "admin.changed": "Staff changed a row in the admin.",
    "admin.deleted": "Staff deleted a row in the admin.",
    "user.rights-changed": "Staff or a command changed what a user may do, or switched the user on or off.",
    "user.sign-up-repeated": "Somebody tried to sign up with the address of an existing user.",
}

ACTIONS: Final = {
    # Users and what lets them in.
    "user.created": "A user was made: by sign-up, by staff or by a command.",
    "user.log-in": "A user logged in.",
    "user.log-in-failures": "How many log-ins failed, or were refused unseen by the throttle, within one minute.",
    "user.log-out": "A user logged out, or a session ended by its limits.",
    "user.password-changed": "A user has a new password.",
    "user.reset-sent": "Staff had a link to a new password sent to a user.",
    "user.email-changed": "A user has another e-mail address.",
    "user.phrase-changed": "A user has another phrase in e-mail from us, or none.",
    "user.withdrawals-held": "A user's withdrawals wait for a day, because what lets them in was changed.",
    "user.factor-added": "A user has a first or a further second factor.",
    "user.factor-replaced": "A user has another authenticator app in place of the old one.",
    "user.factor-removed": "A user removed a second factor.",
    "user.passkey-renamed": "A user gave a passkey another name.",
    "user.passkey-counter": "A user's passkey was refused: its counter did not go forward, so it may have been copied.",
    "user.recovery-codes": "A user has new recovery codes; the old ones end.",
    "user.recovery": "A user logged in by password, mailed link and recovery code, without the second factor.",
    "user.locked": "A user locked the account from an e-mail: sessions, keys and browsers ended.",
    "user.unlocked": "A locked account is open again.",
    "user.lock-released": "Staff found out whose a locked account is: a new password opens it again.",
    "user.switched-off": "Staff switched a user off: sessions and keys ended.",
    "user.switched-on": "A user who was switched off is let in again.",
    "user.session-ended": "A user ended sessions of theirs.",
    "user.device-forgotten": "A user wants a browser not to be known any more.",
    "user.device-let-in": "Somebody with a mailed link let a browser try to log in.",
    "user.closed": "A user closed the account for good: sessions and keys ended, what let them in was deleted.",
    "user.data-exported": "A user asked for the file of everything that is kept of them.",
    "api-key.created": "An API key was made.",
    "api-key.limited": "An API key works only from other addresses than before.",
    "api-key.revoked": "An API key was revoked.",
    "sub-account.created": "A user made a sub-account.",
    "sub-account.renamed": "A sub-account has another name.",
    "sub-account.frozen": "A sub-account places no orders any more.",
    "sub-account.unfrozen": "A frozen sub-account may place orders again.",
    "transfer.requested": "A user asked to move funds between two of their accounts.",
    "trading-session.revoked": "Staff ended a trading session of a page.",
    # What staff asks of the engine.
    "market.created": "A market was listed.",
    "market.settings": "Other settings were asked for a market.",
    "market.state": "A market was to go to another state: open, halted, auction, cancel-only, post-only, closed.",
    "asset.created": "An asset was listed.",
    "asset.class": "An asset was to be counted to another class.",
    "class.state": "All markets of a class were to go to another state.",
    "account.family": "An account was to be counted to another family.",
    "account.allocation": "An allocation rule was to be made, changed or removed.",
    "account.limits": "Other rate limits hold for an account.",
    "account.fee-tier": "An account moved to another fee tier by its volume.",
    "order.review": "Staff decided on a parked order.",
    # What the matching worker decided about commands in the log.
    "engine.command-skipped": "The engine failed at a command: the worker skipped it, and it had no effect.",
    "engine.orders-too-late": "After a stop of the engine, new orders had waited too long: the worker skipped them.",
    # What staff, an operator or the emergency protocol suspends, freezes and flags (apps/controls).
    "switch.set": "A suspension, a freeze or a flag of a user began, went on with another end, or ended.",
    # Who is staff.
    "staff.role-given": "A user became staff of a role, or of a further one.",
    "staff.role-taken": "Staff took a role from one of staff.",
    "staff.ended": "A user is no staff any more: all roles and rights ended.",
    # What takes more than one of staff (apps/controls/services/approvals.py).
    "approval.asked": "Somebody asked for what others of staff decide on.",
    "approval.given": "One of staff approved a request that needs further approvals.",
    "approval.carried-out": "The last approval of a request was given, and what it asks for was done.",
    "approval.declined": "One of staff declined a request: it ended without any effect.",
    "approval.withdrawn": "Whoever made a request took it back.",
    # Staff pages and commands.
    "email.sent-again": "Staff had an e-mail sent once more.",
    "banner.shown": "A banner was put on the pages, or will be from its time on.",
    "banner.withdrawn": "A banner was taken off the pages before its end.",
    "site.promoted": "The second site was made the primary one.",
    "site.restored": "An operator put a backup in the place of what was lost: everything, or PostgreSQL alone.",
    "site.rebuilt": "An operator had a snapshot, or redis-core's log, rebuilt out of the archive.",
    "demo.account": "A demo account was made or renewed and funded.",
    # The log itself.
    "audit.key": "Checkpoints are signed with this key, from the step on in which this was recorded.",
    "audit.gap": "INCIDENT: records that a writer counted are not there. They were removed before they were sequenced.",
    "audit.counter-back": "INCIDENT: a writer's counter is behind what was sequenced of it.",
}
