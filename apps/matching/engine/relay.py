"""Relayed commands: numbered per source, applied exactly once and in order (architecture.md section 6).

relay_seq not newer than the last one of its source: ignored, no event. Next one: applied, or refused by one
RELAY_REFUSED event that says why. Later one: a command is missing, RelayGap stops the shard. Commands of source
DIRECT are not numbered.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from apps.matching.engine.errors import RelayGap
from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.poison import count_skip
from apps.matching.engine.state import State
from apps.streams.kinds import CommandKind, Reason, Source
from apps.streams.records import COMMAND_HEADER

Handler = Callable[[State, bytes, int], None]
RelayedHandler = Callable[[State, bytes, int], Reason | None]

NO_KEY: Final = bytes(64)
MONEY_KINDS: Final = frozenset(range(CommandKind.CREDIT, CommandKind.TRANSFER + 1))
ACCOUNT_KINDS: Final = frozenset({CommandKind.SET_ACCOUNT, CommandKind.SET_ALLOCATION})

_SOURCES: Final = frozenset(int(source) for source in Source)
_DIRECT: Final = int(Source.DIRECT)
_RELAY: Final = Struct("<QH")
_unpack_review = fields_of(CommandKind.REVIEW_ORDER).unpack_from
_unpack_money = fields_of(CommandKind.CREDIT).unpack_from


def relayed(handler: RelayedHandler) -> Handler:
    """The handler behind the numbering; it returns why it refused, having changed nothing, or None."""

    def handle(state: State, frames: bytes, offset: int) -> None:
        relay_seq, source = _RELAY.unpack_from(frames, offset + COMMAND_HEADER.size)
        if source not in _SOURCES:
            refuse(state, frames, offset, Reason.MALFORMED)
        elif is_next(state, relay_seq, source):
            reason = handler(state, frames, offset)
            if reason is not None:
                refuse(state, frames, offset, reason)

    return handle


def is_next(state: State, relay_seq: int, source: int) -> bool:
    """Whether to apply the command; if so its number is taken."""
    if source == _DIRECT:
        return True
    last = state.relays.get(source, 0)
    if relay_seq <= last:
        return False
    if relay_seq != last + 1:
        raise RelayGap(f"source {source} sent relay_seq {relay_seq} after {last}")
    state.relays[source] = relay_seq
    return True


def refuse(state: State, frames: bytes, offset: int, reason: Reason) -> None:
    """RELAY_REFUSED, naming the asset of a money command, the account of SET_ACCOUNT, the order of a review, else the
    market."""
    _, kind, _, _, market_id, account_id, *_ = COMMAND_HEADER.unpack_from(frames, offset)
    relay_seq, source = _RELAY.unpack_from(frames, offset + COMMAND_HEADER.size)
    object_id, amount_units, key = market_id, 0, NO_KEY
    if kind in MONEY_KINDS:
        *_, object_id, amount_units, _, key = _unpack_money(frames, offset)
        if not is_text(key):
            key = NO_KEY
    elif kind in ACCOUNT_KINDS:
        object_id = account_id
    elif kind == CommandKind.REVIEW_ORDER:
        *_, object_id, _ = _unpack_review(frames, offset)
    state.journal.relay_refused(
        kind,
        relay_seq,
        source,
        reason,
        market_id=market_id,
        account_id=account_id,
        object_id=object_id,
        amount_units=amount_units,
        key=key,
    )


def skip_command(state: State, frames: bytes, reason: Reason) -> None:
    """One INTERNAL_REJECT for the run's first command. A relayed one gives up its number, so the next one fits.

    A command that failed (reason INTERNAL) also counts as poison, which may stop its market right behind that event.
    """
    _, kind, _, _, market_id, account_id, *_ = COMMAND_HEADER.unpack_from(frames, 0)
    relay_seq = source = 0
    if kind >= CommandKind.CREDIT:
        relay_seq, source = _RELAY.unpack_from(frames, COMMAND_HEADER.size)
        if source in _SOURCES and not is_next(state, relay_seq, source):
            return
    state.journal.internal_reject(kind, relay_seq, source, reason, market_id=market_id, account_id=account_id)
    if reason == Reason.INTERNAL:
        count_skip(state, market_id)
