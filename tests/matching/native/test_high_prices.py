"""The compiled book is a tree over the bits of a price: every height of it gives the plain engine's bytes."""

from random import Random

import msgspec
import pytest

from apps.streams.codec import encode_command
from apps.streams.commands import CancelOrder, Credit, PlaceOrder, SetMarket, SetMarketState
from apps.streams.kinds import MarketState, OrderKind, Source, TimeInForce
from tests.matching.native.test_settings_bodies import Pair, fields

DIRECT = {"relay_seq": 0, "source": Source.DIRECT}


def with_every_price() -> Pair:
    """A market that takes prices up to 2^62, and two accounts with money for them."""
    pair = Pair()
    sizes = {"tick_size": 10_000, "lot_size": 10_000, "min_price_ticks": 1, "max_price_ticks": 2**62 - 1}
    bands = dict.fromkeys(("bid_down_bp", "bid_up_bp", "ask_down_bp", "ask_up_bp"), 0)
    pair.body(SetMarket, msgspec.msgpack.encode(fields() | sizes | bands | {"max_open_orders": 0}))
    pair.send(encode_command(SetMarketState(market_id=1, state=MarketState.OPEN, cause=0, **DIRECT)))
    for account_id in (1, 2):
        for asset_id in (1, 2):
            credit = Credit(
                account_id=account_id, asset_id=asset_id, amount_units=2**60, counter=1, key=f"{account_id}-{asset_id}",
                **DIRECT,
            )  # fmt: skip
            pair.send(encode_command(credit))
    return pair


def order(account_id: int, side: int, price_ticks: int) -> bytes:
    return encode_command(
        PlaceOrder(
            market_id=1, account_id=account_id, settings_version=1, side=side, order_kind=OrderKind.LIMIT,
            time_in_force=TimeInForce.GTC, quantity_lots=1, price_ticks=price_ticks,
        )
    )  # fmt: skip


def test_prices_of_every_size_up_to_the_highest() -> None:
    pair, random = with_every_price(), Random(7)
    for number in range(1, 900):
        price = random.randrange(2 ** random.randrange(1, 62), 2**62)
        account_id, side = random.choice((1, 2)), random.randrange(2)
        pair.send(order(account_id, side, random.choice((price, price, price.bit_length(), 2**62 - number))))
        if random.random() < 0.4:
            pair.send(encode_command(CancelOrder(account_id=1, order_id=random.randrange(1, number + 1))))
    pair.same_state()
    (market,) = pair.engines[1].markets()
    assert market.ask_levels > 100
    for engine in pair.engines:
        engine.validate()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bits", range(16, 60, 6))
def test_a_book_that_grows_has_its_old_and_its_new_prices(bits: int, side: int) -> None:
    """A side covers 2^10 prices at first, 2^16 with a higher one and so on: then its last price comes first."""
    pair = with_every_price()
    for price in (5, 2**bits - 7, 5, 2**bits - 7, 6, 2**bits - 1, 2 ** (bits - 6)):
        pair.send(order(1, side, price))
    levels = [engine.depth(1, side, 9) for engine in pair.engines]
    assert levels[0] == levels[1]
    for order_id in (1, 2, 6, 4):
        pair.send(encode_command(CancelOrder(account_id=1, order_id=order_id)))
    pair.engines[1].validate()
    pair.same_state()
