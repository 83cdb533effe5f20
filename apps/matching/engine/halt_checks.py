"""What must hold for states that end by a timer, breakers, auctions and families; part of validate()."""

from apps.matching.engine.auction import NO_PRICE, auction_price
from apps.matching.engine.book import BUY, SELL
from apps.matching.engine.errors import require
from apps.matching.engine.expiry import has_expired
from apps.matching.engine.market import Market
from apps.matching.engine.state import State
from apps.streams.kinds import MarketState


def check_halts(state: State, market: Market) -> None:
    where, now_ms = f"market {market.market_id}", state.journal.now_ms
    require((market.until_ms > 0) == (market.timer_seq > 0), f"{where}: a state's end without its timer")
    require(market.halts == sorted(market.halts), f"{where}: breaker halts out of order")
    require(all(begun_ms <= now_ms for begun_ms in market.halts), f"{where}: a halt from the future")
    in_auction = market.state == MarketState.AUCTION
    require((state.auctions.get(market.market_id) is market) == in_auction, f"{where}: is or is no auction")
    told = (market.auction_ticks, market.auction_lots)
    require(told == (auction_price(market) if in_auction else NO_PRICE), f"{where}: another auction price was told")
    require(in_auction or not market.extensions, f"{where}: extensions without an auction")
    rules = [] if market.breaker is None else [window.rule for window in market.breaker.windows]
    require(rules == market.settings.breaker_rules, f"{where}: the breakers are not those of the settings")
    if market.breaker is None:
        return
    require(market.breaker.tripped is None, f"{where}: a breaker tripped and nobody asked")
    for window in market.breaker.windows:
        rule, buckets = f"{where}, breaker {window.rule.rule_id}", window.buckets
        ks = [bucket.k for bucket in buckets]
        require(ks == sorted(set(ks)), f"{rule}: buckets out of order")
        require(all(k * window.len_ms <= now_ms for k in ks), f"{rule}: a bucket from the future")
        if window.is_vwap:
            require(window.lots == sum(bucket.lots for bucket in buckets), f"{rule}: lots do not add up")
            require(window.value == sum(bucket.value for bucket in buckets), f"{rule}: values do not add up")
            continue
        require(all(0 < bucket.low <= bucket.last <= bucket.high for bucket in buckets), f"{rule}: a bucket's prices")
        for found, prices in (
            (window.low(), [bucket.low for bucket in buckets]),
            (-window.high(), [-bucket.high for bucket in buckets]),
        ):
            if prices or window.before:
                before = [window.before if found > 0 else -window.before] if window.before else []
                require(found == min(prices + before), f"{rule}: the queues do not know the furthest price")


def check_families(state: State) -> None:
    """Who is in whose, and that none of them would pair with itself in an auction."""
    members: dict[int, set[int]] = {}
    for account in state.accounts.values():
        if account.family_id != account.account_id:
            members.setdefault(account.family_id, set()).add(account.account_id)
    require(members == state.families, "the families are not those of the accounts")
    for market in state.markets.values():
        if not market.is_crossed():
            continue
        best: dict[tuple[int, int], int] = {}
        for seat in market.seats.values():
            for order in seat.open_orders.values():
                if order.level is not None and not has_expired(order, state.journal.now_ms):
                    key = (seat.account.family_id, order.side)
                    best[key] = max(best.get(key, order.level.key), order.level.key)
        for family_id, side in best:
            if side == BUY and (family_id, SELL) in best:
                apart = best[family_id, BUY] + best[family_id, SELL] < 0
                require(apart, f"market {market.market_id}: family {family_id} faces itself")
