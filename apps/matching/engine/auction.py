"""Call auction: the one price at which most is traded, found from the levels that cross (matching-rules.md 7).

Candidates are the limit prices of resting orders and the reference price. Most volume -> least |surplus| -> nearest to
the reference -> the higher price. Icebergs count whole. Outside the range from the best ask to the best bid nothing
would trade, so only the levels within it are looked at: O(n log n) of those.

While a market is in AUCTION the price and its volume are told when they change, at the end of a command. What cannot
have changed them is not looked at again.
"""

from itertools import takewhile
from typing import Final, NamedTuple

from apps.common.amounts import BASIS_POINTS
from apps.matching.engine.book import BookSide
from apps.matching.engine.market import Market
from apps.matching.engine.state import State
from apps.streams.kinds import EventKind

_OWN_EVENT: Final = int(EventKind.AUCTION_PRICE)
_MARKET_ID: Final = slice(4, 8)  # of an event record


class AuctionPrice(NamedTuple):
    """(0, 0) where nothing crosses."""

    price_ticks: int
    lots: int


NO_PRICE: Final = AuctionPrice(0, 0)


def auction_price(market: Market) -> AuctionPrice:
    """What would be traded at which price, if the call phase ended now."""
    if not market.is_crossed():
        return NO_PRICE
    reference, lowest, highest = market.reference_price(), market.asks.best_price(), market.bids.best_price()
    bids, asks = _crossing(market.bids, lowest), _crossing(market.asks, -highest)
    candidates = {price for price, _ in bids} | {price for price, _ in asks}
    if lowest <= reference <= highest:
        candidates.add(reference)
    asks.reverse()  # the lowest price of both is last now
    demand, supply = sum(lots for _, lots in bids), 0  # who buys and sells at the candidate
    best, best_rank = NO_PRICE, (0, 0, 0, 0)
    for price in sorted(candidates):
        while asks and asks[-1][0] <= price:
            supply += asks.pop()[1]
        while bids and bids[-1][0] < price:
            demand -= bids.pop()[1]
        lots = min(demand, supply)
        rank = (-lots, abs(demand - supply), abs(price - reference), -price)
        if rank < best_rank:
            best, best_rank = AuctionPrice(price, lots), rank
    return best


def _crossing(side: BookSide, worst_key: int) -> list[tuple[int, int]]:
    """(price, lots, hidden ones too) of the levels down to this key, best first."""
    levels = (side.levels[key] for key in takewhile(lambda key: key >= worst_key, reversed(side.keys)))
    return [(level.price_ticks, level.lots + level.hidden_lots) for level in levels]


def is_outside_collar(market: Market, price_ticks: int) -> bool:
    """Too far from the reference price to be printed; a market without a collar takes every price."""
    collar_bp, reference = market.settings.collar_bp, market.reference_price()
    return collar_bp > 0 and abs(price_ticks - reference) * BASIS_POINTS > collar_bp * reference


def tell_price(state: State, market: Market) -> AuctionPrice:
    """The market's price, with an event where it differs from the last one."""
    found = auction_price(market)
    if found != (market.auction_ticks, market.auction_lots):
        market.auction_ticks, market.auction_lots = found
        state.journal.auction_price(market)
    return found


def tell_prices(state: State) -> None:
    """The end of a command while there are auctions: of those whose market it touched."""
    journal = state.journal
    news = journal.seq - state.auctions_seen
    if news:
        touched = {record[_MARKET_ID] for record in journal.records[-news:] if record[1] != _OWN_EVENT}
        for market_id, market in sorted(state.auctions.items()):
            if market_id.to_bytes(4, "little") in touched:
                tell_price(state, market)
        state.auctions_seen = journal.seq
