"""The engine: a pure function (state, commands, time) -> (state, events) (architecture.md sections 1 and 4).

No clock, no randomness, no I/O, no floats. Time is the millisecond of the command's stream entry, which the worker
stamps into the frames. The cut into batches never matters: process(a + b) equals process(a) then process(b).
"""

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import ClassVar, Final, Self

from apps.matching.engine import money, settings, snapshot, views
from apps.matching.engine.amend import amend_order
from apps.matching.engine.auction import tell_prices
from apps.matching.engine.block import place_block
from apps.matching.engine.cancel import cancel_all, cancel_order
from apps.matching.engine.cancel_timer import set_cancel_timer
from apps.matching.engine.class_states import set_class_state
from apps.matching.engine.client_ids import ClientIds
from apps.matching.engine.distance import tick
from apps.matching.engine.due import run_due
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.framing import run_offsets
from apps.matching.engine.invariants import validate
from apps.matching.engine.lists import place_list
from apps.matching.engine.placing import place_order
from apps.matching.engine.relay import Handler, relayed, skip_command
from apps.matching.engine.replace import replace_order
from apps.matching.engine.review import review_order
from apps.matching.engine.state import State
from apps.matching.engine.states import set_market_state
from apps.matching.engine.timers import NEVER
from apps.streams.kinds import CommandKind, Reason
from apps.streams.records import FrameError

RULES_VERSION: Final = 6
CLOSED_IDS_KEPT: Final = 1_000_000  # T15

_COMMAND_ID: Final = Struct("<QII")
_COMMAND_ID_OFFSET: Final = 16
_KIND_AND_ID: Final = Struct("<xB14xQII")


_HANDLERS_BY_KIND: Final[dict[CommandKind, Handler]] = {
    CommandKind.TICK: tick,
    CommandKind.PLACE_ORDER: place_order,
    CommandKind.CANCEL_ORDER: cancel_order,
    CommandKind.CANCEL_ALL: cancel_all,
    CommandKind.AMEND_ORDER: amend_order,
    CommandKind.REPLACE_ORDER: replace_order,
    CommandKind.SET_CANCEL_TIMER: set_cancel_timer,
    CommandKind.PLACE_LIST: place_list,
    CommandKind.PLACE_BLOCK: place_block,
    CommandKind.CREDIT: relayed(money.credit),
    CommandKind.DEBIT: relayed(money.debit),
    CommandKind.HOLD: relayed(money.hold_keyed),
    CommandKind.RELEASE: relayed(money.release_keyed),
    CommandKind.CAPTURE: relayed(money.capture_keyed),
    CommandKind.TRANSFER: relayed(money.transfer),
    CommandKind.SET_ASSET: relayed(settings.set_asset),
    CommandKind.SET_MARKET: relayed(settings.set_market),
    CommandKind.SET_MARKET_STATE: relayed(set_market_state),
    CommandKind.SET_CLASS_STATE: relayed(set_class_state),
    CommandKind.SET_ACCOUNT: relayed(settings.set_account),
    CommandKind.REVIEW_ORDER: relayed(review_order),
    CommandKind.SET_ALLOCATION: relayed(settings.set_allocation),
}
HANDLERS: Final[dict[int, Handler]] = {int(kind): handler for kind, handler in _HANDLERS_BY_KIND.items()}


class Engine:
    """One shard's matching engine.

    `closed_ids_kept` is how many client ids of closed orders are remembered (T15). It belongs to the state: a
    restored engine has that of its snapshot. Orders are numbered from `last_order_id` + 1 on. ValueError where they are
    out of bounds.
    """

    NAME = "plain"
    RULES_VERSION = RULES_VERSION
    HANDLERS: ClassVar[Mapping[int, Handler]] = HANDLERS

    def __init__(self, closed_ids_kept: int = CLOSED_IDS_KEPT, *, last_order_id: int = 0) -> None:
        self._state = State(ClientIds(closed_ids_kept))
        self._state.last_order_id = last_order_id
        self._marker: memoryview | bytearray = bytearray(_COMMAND_ID.size)

    @classmethod
    def restore(cls, body: bytes) -> Self:
        """The engine of a snapshot body of this rules version or of one that it still reads (snapshot.py).

        UnreadableVersion for another version, SnapshotError for anything else.
        """
        engine = cls.__new__(cls)
        engine._state = snapshot.read_snapshot(body, RULES_VERSION)
        engine._marker = bytearray(_COMMAND_ID.size)
        return engine

    def process(self, frames: bytes) -> bytes:
        """Apply whole stamped frame runs; the events they caused, 192 bytes each, in order.

        FrameError: nothing was applied. Any other exception (InvariantBroken, RelayGap, a bug): the state is
        undefined and must be discarded; `applying` names the command.
        """
        offsets = run_offsets(frames)
        state = self._state
        journal, timers, auctions = state.journal, state.timers, state.auctions
        seq_before = journal.seq
        journal.begin()
        unpack, handlers = _KIND_AND_ID.unpack_from, self.HANDLERS
        mark, marker = _COMMAND_ID.pack_into, self._marker
        for offset in offsets:
            kind, now_ms, cmd_n, cmd_index = unpack(frames, offset)
            mark(marker, 0, now_ms, cmd_n, cmd_index)
            journal.cmd_n, journal.cmd_index = cmd_n, cmd_index
            if now_ms < journal.now_ms:
                raise InvariantBroken(f"time went back from {journal.now_ms} to {now_ms}")
            journal.now_ms = now_ms
            if now_ms >= timers.due_ms:
                run_due(state)
            handlers[kind](state, frames, offset)
            if auctions:
                tell_prices(state)
        return journal.take(seq_before)

    def skip(self, run: bytes, reason: Reason) -> bytes:
        """Take one command's number and time without applying it: one INTERNAL_REJECT event (poison, too old).

        Timers do not run: they do before the next command that is applied. FrameError where there is none.
        """
        if not run_offsets(run):
            raise FrameError("there is no command to skip")
        journal = self._state.journal
        seq_before = journal.seq
        journal.begin()
        journal.now_ms, journal.cmd_n, journal.cmd_index = _COMMAND_ID.unpack_from(run, _COMMAND_ID_OFFSET)
        _COMMAND_ID.pack_into(self._marker, 0, journal.now_ms, journal.cmd_n, journal.cmd_index)
        if journal.now_ms >= NEVER:
            raise InvariantBroken(f"a time of {journal.now_ms} ms")
        skip_command(self._state, run, reason)
        return journal.take(seq_before)

    def mark_in(self, buffer: memoryview | bytearray) -> None:
        """From now on the id of the command being applied also stands in these 16 bytes, as in its frame.

        In a file mapped into memory it outlives the process (crash_marker.py). ValueError unless there are exactly 16
        bytes that can be written.
        """
        with memoryview(buffer) as view:
            if view.readonly or view.nbytes != _COMMAND_ID.size:
                raise ValueError(f"a command id takes {_COMMAND_ID.size} writable bytes, not these {view.nbytes}")
        self._marker = buffer

    @property
    def seq(self) -> int:
        """seq of the last event, 0 before the first."""
        return self._state.journal.seq

    @property
    def applying(self) -> tuple[int, int, int]:
        """(entry_ms, entry_n, index) of the command that is or was last being applied."""
        journal = self._state.journal
        return journal.now_ms, journal.cmd_n, journal.cmd_index

    def snapshot(self) -> bytes:
        """Canonical body of the whole state (snapshot.py)."""
        return snapshot.write_snapshot(self._state, RULES_VERSION)

    def state_hash(self) -> str:
        """64 hex digits: the hash of snapshot()."""
        return snapshot.state_hash(self.snapshot())

    def validate(self) -> None:
        """Full structural check, O(state); InvariantBroken names what is wrong."""
        validate(self._state)

    def balances(self) -> Iterator[views.BalanceRow]:
        return views.balances(self._state)

    def open_orders(self) -> Iterator[views.OrderRow]:
        return views.open_orders(self._state)

    def shares(self) -> Iterator[views.ShareRow]:
        return views.shares(self._state)

    def order_lists(self) -> Iterator[views.OrderListRow]:
        return views.order_lists(self._state)

    def holds(self) -> Iterator[views.HoldRow]:
        return views.holds(self._state)

    def assets(self) -> Iterator[views.AssetRow]:
        return views.assets(self._state)

    def asset_classes(self) -> Iterator[tuple[int, str]]:
        return views.asset_classes(self._state)

    def accounts(self) -> Iterator[views.AccountRow]:
        return views.accounts(self._state)

    def allocations(self) -> Iterator[views.AllocationRow]:
        return views.allocations(self._state)

    def markets(self) -> Iterator[views.MarketRow]:
        return views.markets(self._state)

    def depth(self, market_id: int, side: int, limit: int) -> list[tuple[int, int]]:
        return views.depth(self._state, market_id, side, limit)

    def counters(self) -> views.Counters:
        return views.counters(self._state)
