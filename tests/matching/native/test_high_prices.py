"""The compiled book is a tree over the bits of a price: every height of it gives the plain engine's bytes."""

from random import Random

import msgspec

from apps.streams.codec import encode_command
from apps.streams.commands import CancelOrder, Credit, PlaceOrder, SetMarket, SetMarketState
from apps.streams.kinds import MarketState, OrderKind, Source, TimeInForce
from tests.matching.native.test_settings_bodies import Pair, fields

DIRECT = {"relay_seq": 0, "source": Source.DIRECT}


def test_prices_of_every_size_up_to_the_highest() -> None:
    pair, random = Pair(), Random(7)
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
    for number in range(1, 900):
        price = random.randrange(2 ** random.randrange(1, 62), 2**62)
        order = PlaceOrder(
            market_id=1, account_id=random.choice((1, 2)), settings_version=1, side=random.randrange(2),
            order_kind=OrderKind.LIMIT, time_in_force=TimeInForce.GTC, quantity_lots=1,
            price_ticks=random.choice((price, price, price.bit_length(), 2**62 - number)),
        )  # fmt: skip
        pair.send(encode_command(order))
        if random.random() < 0.4:
            pair.send(encode_command(CancelOrder(account_id=1, order_id=random.randrange(1, number + 1))))
    pair.same_state()
    (market,) = pair.engines[1].markets()
    assert market.ask_levels > 100
    for engine in pair.engines:
        engine.validate()
