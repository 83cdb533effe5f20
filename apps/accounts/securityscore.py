"""How well an account is secured (requirement A8): a pure function of what is known of it.

ITEMS is the requirement as a table. Each item has points, says in a sentence why it matters, and names the page that
does it: one step. The score is the share of the points that are gained, in whole percent, rounded down, so that 100
means that nothing is left to do. The age of a password is no item: NIST SP 800-63B, 5.1.1.2, advises against changing
one without a reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from apps.accounts.policy import RECOVERY_CODES_LEFT_MIN, SCORE_FAIR, SCORE_STRONG, UNUSED_DEVICE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFacts:
    """What is known of an account. Of keys, those that are in use, of all accounts of the user."""

    email_proved: bool
    has_factor: bool  # an authenticator app or a passkey
    has_passkey: bool
    recovery_codes_left: int
    has_phrase: bool
    keys: int
    open_keys: int  # those that may trade and work from every address
    devices: int
    unused_devices: int  # no log-in there for UNUSED_DEVICE_S


class Level(StrEnum):
    WEAK = "weak"
    FAIR = "fair"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Item:
    """`done` says whether the facts gain the points; `step` is the text of the link to the page `route`.

    `possible`: whether the step can be done yet. One that cannot is not offered, and gains no points.
    """

    name: str
    points: int
    why: str
    step: str
    route: str
    done: Callable[[SecurityFacts], bool]
    possible: Callable[[SecurityFacts], bool] = lambda facts: True


ITEMS: Final = (
    Item(
        "Second factor", 30,
        "A stolen password does not open your account without your passkey or the code of your phone.",
        "Set one up", "accounts:two-factor", lambda facts: facts.has_factor,
    ),
    Item(
        "Passkey", 10,
        "A forged page can ask for a code, but gets nothing from a passkey.",
        "Add a passkey", "accounts:passkeys", lambda facts: facts.has_passkey,
    ),
    Item(
        "Proved e-mail address", 15,
        "A new password and every warning go there, so it must be yours.",
        "Change the address", "accounts:email", lambda facts: facts.email_proved,
    ),
    Item(
        "Recovery codes", 15,
        f"They let you in when the phone is lost. Keep {RECOVERY_CODES_LEFT_MIN} unused ones at least.",
        "Make new codes", "accounts:two-factor",
        lambda facts: facts.has_factor and facts.recovery_codes_left >= RECOVERY_CODES_LEFT_MIN,
        # They come with the factor.
        possible=lambda facts: facts.has_factor,
    ),
    Item(
        "Phrase in e-mail", 10,
        "A forged e-mail does not have the words that only you and we know.",
        "Choose a phrase", "accounts:mail-phrase", lambda facts: facts.has_phrase,
    ),
    Item(
        "API keys limited to addresses", 10,
        "A copied key that trades is of no use elsewhere if it works from your own addresses only.",
        "Look at your keys", "accounts:api-keys", lambda facts: not facts.open_keys,
    ),
    Item(
        "No forgotten browsers", 10,
        f"A browser that you have not used for {UNUSED_DEVICE_S // 86_400} days may be somebody else's by now.",
        "Look at your browsers", "accounts:devices", lambda facts: not facts.unused_devices,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """`percent` is 0 to 100. Both lists have what weighs most first; what is not possible yet is in neither."""

    percent: int
    level: Level
    missing: tuple[Item, ...]
    done: tuple[Item, ...]


def score(facts: SecurityFacts) -> Score:
    """The same facts give the same score; nothing is read."""
    done = tuple(item for item in ITEMS if item.done(facts))
    missing = tuple(item for item in ITEMS if item.possible(facts) and not item.done(facts))
    percent = sum(item.points for item in done) * 100 // sum(item.points for item in ITEMS)
    return Score(percent, _level(percent), _by_weight(missing), _by_weight(done))


def _level(percent: int) -> Level:
    if percent >= SCORE_STRONG:
        return Level.STRONG
    return Level.FAIR if percent >= SCORE_FAIR else Level.WEAK


def _by_weight(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: -item.points))
