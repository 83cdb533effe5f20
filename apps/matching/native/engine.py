"""The compiled engine with the interface of the plain one (apps/matching/engine/engine.py): the same bytes out.

The state lives in the library; this class hands frames over and events back. Read-only views come from the rows of
snapshot tables, so that their layout stands in one place.
"""

import ctypes
import os
from collections.abc import Iterator
from ctypes import byref, c_char, c_size_t, c_void_p, string_at
from typing import Any, Final, Self

from apps.matching.engine import views
from apps.matching.engine.client_ids import check_capacity
from apps.matching.engine.engine import CLOSED_IDS_KEPT, RULES_VERSION
from apps.matching.engine.errors import FrameError, InvariantBroken, RelayGap, SnapshotError, UnreadableVersion
from apps.matching.engine.order_list import Stage
from apps.matching.engine.snapshot import state_hash
from apps.matching.engine.snapshot_tables import TABLES
from apps.matching.native import library
from apps.streams.kinds import AllocationMethod, HaltCause, MarketState, Reason, Waiting

_COMMAND_ID_SIZE: Final = 16
_ERRORS: Final[dict[int, type[Exception]]] = {
    library.FRAME_ERROR: FrameError,
    library.INVARIANT_BROKEN: InvariantBroken,
    library.RELAY_GAP: RelayGap,
    library.SNAPSHOT_ERROR: SnapshotError,
    library.OUT_OF_MEMORY: MemoryError,
}
_TABLE_NUMBERS: Final = {table.name: number for number, table in enumerate(TABLES)}


class Engine:
    """One shard's matching engine, compiled. Not for use by two threads at once.

    What the arguments mean: the plain engine's.
    """

    NAME = "native"
    RULES_VERSION = RULES_VERSION

    def __init__(self, closed_ids_kept: int = CLOSED_IDS_KEPT, *, last_order_id: int = 0) -> None:
        check_capacity(closed_ids_kept)
        lib = library.loaded()
        handle = lib.nbp_create(closed_ids_kept, last_order_id, _hash_seed())
        if not handle:
            raise MemoryError("no memory for an engine")
        self._open(lib, handle)

    def _open(self, lib: Any, handle: int) -> None:
        self._lib = lib
        self._handle: c_void_p | None = c_void_p(handle)
        self._process, self._free = lib.nbp_process, lib.nbp_free
        self._bytes, self._size = c_void_p(), c_size_t()
        self._bytes_at, self._size_at = byref(self._bytes), byref(self._size)
        self._marker: memoryview | None = None

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            self._free(handle)

    @classmethod
    def restore(cls, body: bytes) -> Self:
        """The engine of a snapshot body of this rules version or of one that it still reads.

        UnreadableVersion for another version, SnapshotError for anything else.
        """
        lib, failure = library.loaded(), library.Failure()
        body = bytes(body)
        handle = lib.nbp_restore(body, len(body), _hash_seed(), byref(failure))
        if not handle:
            if failure.status == library.UNREADABLE_VERSION:
                raise UnreadableVersion(
                    found=failure.version_found, own=failure.version_own, oldest_readable=failure.version_oldest
                )
            raise _ERRORS[failure.status](failure.text.decode("ascii", "replace"))
        engine = cls.__new__(cls)
        engine._open(lib, handle)
        return engine

    def reserve(self, size: int) -> None:
        """Take memory for the next `size` bytes of state now; for before the first command. MemoryError without it."""
        status = self._lib.nbp_reserve(self._handle, size)
        if status:
            raise self._error(status)

    def process(self, frames: bytes) -> bytes:
        """Apply whole stamped frame runs; the events they caused, 192 bytes each, in order.

        FrameError: nothing was applied. Any other exception: the state is undefined and must be discarded; `applying`
        names the command.
        """
        if self._marker is not None:
            self._marker.nbytes  # noqa: B018 - a buffer that was released must not be written to
        if type(frames) is not bytes:
            frames = bytes(frames)
        status = self._process(self._handle, frames, len(frames), self._bytes_at, self._size_at)
        if status:
            raise self._error(status)
        return string_at(self._bytes, self._size.value)

    def skip(self, run: bytes, reason: Reason) -> bytes:
        """Take one command's number and time without applying it: one INTERNAL_REJECT event (poison, too old)."""
        if self._marker is not None:
            self._marker.nbytes  # noqa: B018
        run = bytes(run)
        return self._taken(self._lib.nbp_skip(self._handle, run, len(run), reason, self._bytes_at, self._size_at))

    def mark_in(self, buffer: memoryview | bytearray) -> None:
        """From now on the id of the command being applied also stands in these 16 bytes, as in its frame.

        ValueError unless there are exactly 16 bytes that can be written.
        """
        view = memoryview(buffer)
        if view.readonly or view.nbytes != _COMMAND_ID_SIZE:
            raise ValueError(f"a command id takes {_COMMAND_ID_SIZE} writable bytes, not these {view.nbytes}")
        # The caller's own view is kept, so that releasing it is seen; a bytearray is kept from being resized.
        self._marker = buffer if isinstance(buffer, memoryview) else view
        self._lib.nbp_mark_in(self._handle, ctypes.addressof(c_char.from_buffer(view)))

    @property
    def seq(self) -> int:
        """seq of the last event, 0 before the first."""
        return int(self._lib.nbp_seq(self._handle))

    @property
    def applying(self) -> tuple[int, int, int]:
        """(entry_ms, entry_n, index) of the command that is or was last being applied."""
        counted = self._counted()
        return counted.now_ms, counted.cmd_n, counted.cmd_index

    def snapshot(self) -> bytes:
        """Canonical body of the whole state."""
        return self._taken(self._lib.nbp_snapshot(self._handle, self._bytes_at, self._size_at))

    def state_hash(self) -> str:
        """64 hex digits: the hash of snapshot()."""
        return state_hash(self.snapshot())

    def validate(self) -> None:
        """Full structural check, O(state); InvariantBroken names what is wrong."""
        status = self._lib.nbp_validate(self._handle)
        if status:
            raise self._error(status)

    @property
    def memory_bytes(self) -> int:
        """What the state takes."""
        return int(self._counted().memory_bytes)

    def balances(self) -> Iterator[views.BalanceRow]:
        return (views.BalanceRow(*row) for row in self._rows("balances"))

    def open_orders(self) -> Iterator[views.OrderRow]:
        ends = {order_id: expires_ms for order_id, expires_ms, _ in self._rows("expiries")}
        icebergs = {order_id: (display, reserve) for order_id, display, reserve in self._rows("icebergs")}
        prevented = dict(self._rows("prevented"))
        waiting = {order_id: int(Waiting.PARKED) for order_id, _, _ in self._rows("parked")}
        waiting.update((order_id, kind) for order_id, kind, *_ in self._rows("waiting"))
        triggers = {order_id: row for order_id, *row in self._rows("triggers")}
        lists, holds_nothing = {}, set()
        for list_id, _, _, _, stage, _, _, _, *order_ids in self._rows("order_lists"):
            lists.update(dict.fromkeys(order_ids, list_id))
            if stage != Stage.ENTERED:
                holds_nothing.update(order_ids[1:])
        for row in self._rows("orders"):
            (
                order_id, account_id, market_id, side, kind, _, _, price_ticks, quantity_lots, shown_lots, filled_lots,
                filled_quote_units, priority, client_id, *_,
            ) = row  # fmt: skip
            display_lots, reserve_lots = icebergs.get(order_id, (0, 0))
            stop_price_ticks, trailing_bips = triggers.get(order_id, (0, 0))
            yield views.OrderRow(
                order_id, account_id, market_id, side, kind, price_ticks, quantity_lots, shown_lots + reserve_lots,
                filled_lots, filled_quote_units, priority, _text(client_id), shown_lots,
                prevented.get(order_id, 0), display_lots, ends.get(order_id, 0),
                waiting.get(order_id, 0), stop_price_ticks, trailing_bips, lists.get(order_id, 0),
                order_id in holds_nothing,
            )  # fmt: skip

    def shares(self) -> Iterator[views.ShareRow]:
        return (views.ShareRow(*row) for row in self._rows("shares"))

    def order_lists(self) -> Iterator[views.OrderListRow]:
        for list_id, account_id, market_id, kind, stage, client_id, _, _, *order_ids in self._rows("order_lists"):
            ids = tuple(order_id for order_id in order_ids if order_id)
            has_entered = stage != Stage.WORKING
            yield views.OrderListRow(list_id, account_id, market_id, kind, has_entered, _text(client_id), ids)

    def holds(self) -> Iterator[views.HoldRow]:
        for key, account_id, asset_id, amount_units in self._rows("holds"):
            yield views.HoldRow(_text(key), account_id, asset_id, amount_units)

    def assets(self) -> Iterator[views.AssetRow]:
        for asset_id, code, external_units, fee_units in self._rows("assets"):
            yield views.AssetRow(asset_id, _text(code), external_units, fee_units)

    def asset_classes(self) -> Iterator[tuple[int, str]]:
        return ((asset_id, _text(name)) for asset_id, name in self._rows("asset_classes"))

    def accounts(self) -> Iterator[views.AccountRow]:
        return (views.AccountRow(*row) for row in self._rows("accounts"))

    def allocations(self) -> Iterator[views.AllocationRow]:
        divided: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for account_id, rule_id, sub_account_id, weight_bp in self._rows("allocated_accounts"):
            divided.setdefault((account_id, rule_id), []).append((sub_account_id, weight_bp))
        for account_id, rule_id, method in self._rows("allocations"):
            accounts, weights = zip(*divided[account_id, rule_id], strict=True)
            yield views.AllocationRow(
                account_id, rule_id, method, accounts, weights if method == AllocationMethod.FIXED else ()
            )

    def markets(self) -> Iterator[views.MarketRow]:
        found = library.Market()
        for position in range(self._lib.nbp_market_count(self._handle)):
            self._lib.nbp_market_at(self._handle, position, byref(found))
            yield views.MarketRow(
                found.market_id, found.symbol.decode("ascii"), MarketState(found.state), HaltCause(found.cause),
                found.settings_version, found.best_bid_ticks, found.best_ask_ticks, found.last_price_ticks,
                found.last_trade_id, found.bid_levels, found.ask_levels, found.skips,
                found.until_ms, found.reopens_ms, found.rule_id, found.auction_ticks, found.auction_lots,
                found.halt_up_ticks, found.halt_down_ticks,
            )  # fmt: skip

    def depth(self, market_id: int, side: int, limit: int) -> list[tuple[int, int]]:
        """(price_ticks, lots) of the best `limit` levels, best first. KeyError where there is no such market."""
        levels = (library.Level * limit)()
        count = self._lib.nbp_depth(self._handle, market_id, side, limit, levels)
        if count > limit:
            raise KeyError(market_id)
        return [(level.price_ticks, level.lots) for level in levels[:count]]

    def counters(self) -> views.Counters:
        counted = self._counted()
        return views.Counters(
            counted.seq, counted.now_ms, counted.last_order_id, counted.accounts, counted.open_orders, counted.holds,
            counted.remembered_client_ids, counted.skips,
        )  # fmt: skip

    def _counted(self) -> library.Counted:
        counted = library.Counted()
        self._lib.nbp_count(self._handle, byref(counted))
        return counted

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        number = _TABLE_NUMBERS[table]
        status = self._lib.nbp_table(self._handle, number, self._bytes_at, self._size_at)
        return TABLES[number].row.iter_unpack(self._taken(status))

    def _taken(self, status: int) -> bytes:
        if status:
            raise self._error(status)
        return string_at(self._bytes, self._size.value)

    def _error(self, status: int) -> Exception:
        return _ERRORS[status](self._lib.nbp_error_text(self._handle).decode("ascii", "replace"))


def _hash_seed() -> int:
    """Where things stand in the library's tables; it never decides what happens."""
    return int.from_bytes(os.urandom(8), "little")


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("ascii")
