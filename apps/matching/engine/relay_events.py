"""Events of the journal: answers to relayed commands, and commands that were skipped."""

from typing import Final

from apps.matching.engine.event_batch import EventBatch
from apps.streams.kinds import EventKind
from apps.streams.records import EVENT_VERSION, EVENTS

_moved = EVENTS[EventKind.MONEY_MOVED].struct.pack
_refused = EVENTS[EventKind.RELAY_REFUSED].struct.pack
_applied = EVENTS[EventKind.SETTINGS_APPLIED].struct.pack
_internal_reject = EVENTS[EventKind.INTERNAL_REJECT].struct.pack

# Plain ints: a look-up on an enum class costs more than the rest of the argument list.
_V: Final = EVENT_VERSION
_MOVED: Final = int(EventKind.MONEY_MOVED)
_REFUSED: Final = int(EventKind.RELAY_REFUSED)
_APPLIED: Final = int(EventKind.SETTINGS_APPLIED)
_INTERNAL_REJECT: Final = int(EventKind.INTERNAL_REJECT)


class RelayEvents(EventBatch):
    __slots__ = ()

    def money_moved(
        self,
        op: int,
        relay_seq: int,
        source: int,
        counter: int,
        asset_id: int,
        key: bytes,
        amount_units: int,
        *,
        account_id: int,
        available_units: int,
        held_units: int,
        released_units: int = 0,
        to_account_id: int = 0,
        to_available_units: int = 0,
        to_held_units: int = 0,
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _moved(
                _V, _MOVED, 0, 0, 0, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, counter, asset_id, amount_units, released_units, available_units, held_units,
                to_account_id, to_available_units, to_held_units, op, key,
            )
        )  # fmt: skip

    def relay_refused(
        self,
        op: int,
        relay_seq: int,
        source: int,
        reason: int,
        *,
        market_id: int,
        account_id: int,
        object_id: int,
        amount_units: int,
        key: bytes,
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _refused(
                _V, _REFUSED, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, op, object_id, amount_units, key,
            )
        )  # fmt: skip

    def settings_applied(
        self,
        op: int,
        relay_seq: int,
        source: int,
        object_id: int,
        *,
        market_id: int = 0,
        account_id: int = 0,
        settings_version: int = 0,
        family_id: int = 0,
        fee_tier: int = 0,
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _applied(
                _V, _APPLIED, 0, 0, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, op, object_id, settings_version, family_id, fee_tier,
            )
        )  # fmt: skip

    def internal_reject(
        self, op: int, relay_seq: int, source: int, reason: int, *, market_id: int, account_id: int
    ) -> None:
        self.seq = seq = self.seq + 1
        self.emit(
            _internal_reject(
                _V, _INTERNAL_REJECT, 0, reason, market_id, seq, self.now_ms, self.cmd_n, self.cmd_index, account_id,
                relay_seq, source, op,
            )
        )  # fmt: skip
