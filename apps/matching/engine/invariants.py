"""The full structural check: everything that must hold between two commands, recomputed from scratch. O(state).

What is cheap is checked in production on every command, where it happens (funds.py, limit.py, sweep.py, engine.py).
"""

from collections import Counter, defaultdict
from typing import Final

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine.allocation import Block
from apps.matching.engine.book import BUY, SELL, Order
from apps.matching.engine.client_ids import KEY_SIZE, NO_CLIENT_ID, fingerprint_of, key_of
from apps.matching.engine.errors import require
from apps.matching.engine.funds import needs
from apps.matching.engine.halt_checks import check_families, check_halts
from apps.matching.engine.list_checks import check_lists
from apps.matching.engine.market import Market
from apps.matching.engine.order_list import OrderList
from apps.matching.engine.state import State
from apps.matching.engine.states import UNCROSSED
from apps.matching.engine.terms import Terms
from apps.matching.engine.timers import NEVER, is_live
from apps.matching.engine.waiting_checks import check_waiting
from apps.streams.kinds import TimeInForce

_NO_TERMS: Final = Terms()
_GTD: Final = int(TimeInForce.GTD)


def validate(state: State) -> None:
    """Raise InvariantBroken naming the first thing that is wrong."""
    resting: dict[int, Order] = {}
    for market in state.markets.values():
        _check_book(state, market, resting)
        check_halts(state, market)
    waiting = {order.order_id: order for order in state.open_orders() if order.terms and order.terms.waiting}
    require(not waiting.keys() & resting.keys(), "an order waits and rests")
    for market in state.markets.values():
        check_waiting(state, market, [order for order in waiting.values() if order.market is market])
    orders = resting | waiting
    order_lists = check_lists(state)
    _check_indexes(state, orders)
    check_families(state)
    _check_money(state, orders)
    _check_client_ids(state, order_lists)
    _check_timers(state, orders)


def _check_book(state: State, market: Market, resting: dict[int, Order]) -> None:
    for side in (market.bids, market.asks):
        require(side.keys == sorted(side.levels), f"market {market.market_id}: level keys are not the sorted levels")
        for key, level in side.levels.items():
            where = f"market {market.market_id}, level {level.price_ticks}"
            require(level.key == key == level.price_ticks * side.sign, f"{where}: key does not fit the price")
            require(level.head is not None, f"{where}: is empty")
            lots, hidden, before, order = 0, 0, None, level.head
            while order is not None:
                require(order.prev is before and order.level is level, f"{where}: links are broken")
                require(before is None or before.priority < order.priority, f"{where}: not first come first served")
                require(order.priority <= state.journal.seq, f"{where}: a place from the future")
                require(order.market is market, f"{where}: order of another market")
                require(order.side == (BUY if side is market.bids else SELL), f"{where}: order of the other side")
                require(order.price_ticks == level.price_ticks, f"{where}: order of another price")
                require(0 < order.left_lots <= order.quantity_lots, f"{where}: order without lots")
                _check_terms(state, order, where)
                require(order.order_id not in resting, f"{where}: an order rests twice")
                resting[order.order_id] = order
                lots += order.left_lots
                hidden += order.open_lots - order.left_lots
                before, order = order, order.next
            require(level.tail is before, f"{where}: tail is not the last order")
            require(level.lots == lots, f"{where}: level has {level.lots} lots, its orders {lots}")
            require(level.hidden_lots == hidden, f"{where}: level hides {level.hidden_lots} lots, its orders {hidden}")
    if market.state in UNCROSSED:
        require(not market.is_crossed(), f"market {market.market_id}: crossed book")


def _check_terms(state: State, order: Order, where: str) -> None:
    terms = order.terms or _NO_TERMS
    accounted = order.open_lots + order.filled_lots + terms.prevented_lots
    require(accounted == order.quantity_lots and terms.prevented_lots >= 0, f"{where}: lots do not add up")
    amended = terms.placed_lots > order.quantity_lots
    require(amended or terms.placed_lots == 0, f"{where}: an amended order did not become smaller")
    less = terms.placed_lots - order.quantity_lots if amended else 0
    require(0 <= terms.amends <= less, f"{where}: amended more often than by a lot each time")
    if terms.display_lots:
        require(order.left_lots <= terms.display_lots, f"{where}: an iceberg shows more than its display")
        require(terms.reserve_lots >= 0, f"{where}: an iceberg's reserve is below nothing")
    else:
        require(terms.reserve_lots == 0, f"{where}: a reserve without a display")
    require((terms.expires_ms > 0) == (order.time_in_force == _GTD), f"{where}: only GTD has an end in time")
    require(not terms.expires_ms or 0 < terms.accepted_seq <= state.journal.seq, f"{where}: accepted in the future")
    require(not terms.waiting and not terms.parked_seq, f"{where}: waits in a book")
    require(not terms.queued_seq, f"{where}: in book and FIFO")


def _check_shares(order: Order, block: Block, where: str) -> None:
    final = sum(share.final_lots for share in block.shares)
    require(final == order.quantity_lots, f"{where}: the shares of a block order are not its quantity")
    require(sum(share.open_lots for share in block.shares) == order.open_lots, f"{where}: shares miss lots")
    for share in block.shares:
        account = share.seat.account
        require(0 <= share.allocated_lots <= share.final_lots, f"{where}: a share got more than it may have")
        require(share.final_lots > 0, f"{where}: a share of nothing")
        require(account.family_id == order.account.family_id, f"{where}: a share outside the family")
        require(order.market.seats.get(account.account_id) is share.seat, f"{where}: a share has a foreign seat")
        ahead = share.allocated_lots * order.quantity_lots - share.final_lots * (order.quantity_lots - order.open_lots)
        require(ahead < order.quantity_lots, f"{where}: a share is a lot ahead")


def _check_timers(state: State, orders: dict[int, Order]) -> None:
    timers = state.timers
    live = sorted(entry[:2] for entry in timers.heap if is_live(entry))
    with_terms = [order.terms for order in orders.values() if order.terms is not None]
    wanted = [
        (each.park_due_ms, each.parked_seq) if each.parked_seq else (each.expires_ms, each.accepted_seq)
        for each in with_terms
        if each.parked_seq or each.expires_ms
    ]
    wanted += [(each.cancel_due_ms, each.cancel_timer_seq) for each in state.accounts.values() if each.cancel_timer_seq]
    wanted += [(market.until_ms, market.timer_seq) for market in state.markets.values() if market.timer_seq]
    require(live == sorted(wanted), "the timers are not those of the open orders, accounts and markets")
    require(all(seq <= state.journal.seq for _, seq in live), "a timer from the future")
    require(timers.stale == len(timers.heap) - len(live), "stale timers are miscounted")
    first_due_ms = timers.heap[0][0] if timers.heap else NEVER
    require(timers.due_ms == min(first_due_ms, NEVER), "the next timer is not the first one")
    require(
        all(
            entry[:2] >= timers.heap[(position - 1) // 2][:2] for position, entry in enumerate(timers.heap) if position
        ),
        "the timers are no heap",
    )


def _check_indexes(state: State, orders: dict[int, Order]) -> None:
    require(all(order_id <= state.last_order_id for order_id in orders), "an order_id from the future")
    found: dict[int, Order] = {}
    for account in state.accounts.values():
        for seat in account.seats:
            require(seat.market.seats.get(account.account_id) is seat, "a seat does not stand in its market")
            for order_id, order in seat.open_orders.items():
                require(
                    order.account is account and order.seat is seat,
                    f"order {order_id} stands at account {account.account_id}",
                )
                require(order.market is seat.market, f"order {order_id} stands in another market")
                if order.terms is not None and order.terms.block is not None:
                    _check_shares(order, order.terms.block, f"order {order_id}")
                found[order_id] = order
            icebergs = sum(1 for order in seat.open_orders.values() if order.terms and order.terms.display_lots)
            require(seat.iceberg_orders == icebergs, f"account {account.account_id}: icebergs are miscounted")
    require(found == orders, "the accounts' open orders are not those that rest and wait")
    shares = Counter(
        share.seat.account.account_id
        for order in orders.values()
        if order.terms is not None and order.terms.block is not None
        for share in order.terms.block.shares
    )
    counted = {account.account_id: account.open_shares for account in state.accounts.values() if account.open_shares}
    require(counted == shares, "the shares of open block orders are miscounted")


def _check_money(state: State, orders: dict[int, Order]) -> None:
    need: dict[tuple[int, int], int] = defaultdict(int)
    for order in orders.values():
        asset_id = order.market.quote_asset_id if order.side == BUY else order.market.base_asset_id
        for account_id, units in needs(order):
            need[account_id, asset_id] += units
        own = (order.account.balance(order.market.base_asset_id), order.account.balance(order.market.quote_asset_id))
        require(order.seat.base is own[0] and order.seat.quote is own[1], f"order {order.order_id} moves foreign money")
    for key, held in state.holds.items():
        require(held.amount_units > 0, f"hold {key!r} is empty")
        need[held.account_id, held.asset_id] += held.amount_units

    totals: dict[int, int] = defaultdict(int)
    for account in state.accounts.values():
        for asset_id, balance in account.balances.items():
            where = f"account {account.account_id}, asset {asset_id}"
            require(asset_id in state.assets, f"{where}: unknown asset")
            require(balance.available_units >= 0 and balance.held_units >= 0, f"{where}: negative")
            wanted = need.pop((account.account_id, asset_id), 0)
            require(balance.held_units == wanted, f"{where}: {balance.held_units} held, {wanted} needed")
            totals[asset_id] += balance.available_units + balance.held_units
    require(not any(need.values()), "something is held by an account without that balance")
    for asset in state.assets.values():
        require(asset.fee_units >= 0, f"asset {asset.asset_id}: negative fees")
        require(asset.external_units <= AMOUNT_MAX, f"asset {asset.asset_id}: above 2^62")
        inside = totals[asset.asset_id] + asset.fee_units
        require(
            inside == asset.external_units,
            f"asset {asset.asset_id}: accounts and fees have {inside}, {asset.external_units} came in",
        )


def _check_client_ids(state: State, order_lists: list[OrderList]) -> None:
    ids = state.client_ids
    require(len(ids.ring) <= ids.capacity, "the ring of client ids is too long")
    owners: dict[bytes, Order | OrderList | bytes] = {record[:KEY_SIZE]: record for record in ids.ring}
    owners |= {each.id_key: each for each in order_lists if each.id_key}
    for order in state.open_orders():
        if order.client_id == NO_CLIENT_ID:
            require(order.id_key == b"", f"order {order.order_id} without a client id has a key")
            continue
        key = key_of(order.account.account_id, order.client_id)
        require(order.id_key == key, f"order {order.order_id}: its key is not that of its client id")
        require(order.fingerprint == fingerprint_of(order), f"order {order.order_id}: fingerprint of other parameters")
        require(not isinstance(owners.get(key), Order), f"order {order.order_id} shares its client id")
        owners[key] = order
    require(ids.owners == owners, "the owners of client ids are not the open orders and the ring")
