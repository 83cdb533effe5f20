"""Trailing stops: activation, the best price since then, and the structure against a model with one best an order."""

from random import Random

import pytest

from apps.matching.engine.accounts import Account, Asset
from apps.matching.engine.book import BUY, SELL, Order
from apps.matching.engine.conditional import Conditional, is_met
from apps.matching.engine.market import Market
from apps.matching.engine.terms import Terms
from apps.matching.engine.trailing import Segment
from apps.streams.kinds import OrderKind
from tests.matching.engine.play import SETTINGS, Table, play, ticks

BOOK = """
    fund dave 100000000 USDT
    fund dave 1000 BTC
    ask a0 dave 50000 0.1
    buy p0 erin market 0.1
"""


def go(table: Table, *prices: str) -> list[str]:
    """Prints at these prices, one lot each; what each was answered apart from the trade."""
    answers = []
    for price in prices:
        table.ask(f"ask m dave {price} 1")
        answer = table.ask(f"bid t erin {price} 0.00001")
        assert table.ask("last") == price
        answers.append(", ".join(part for part in answer.split(", ") if part.startswith("triggered")))
        table.ask("cancel m")
        table.engine.validate()
    return answers


@pytest.mark.parametrize(
    ("order", "prices"),
    [
        # 1 % under the best: 50000 -> 49500, 50200 -> 49698, 50200.01 -> 49698.0099 rounded down to 49698
        ("sell s1 alice market 0.1 stop 0 trail 100", ["50200", "49698.01", "49698"]),
        ("sell s1 alice market 0.1 stop 0 trail 100", ["50200.01", "49698.01", "49698"]),
        ("ask s1 alice 40000 0.1 profit 0 trail 100", ["49900", "49500.01", "49500"]),
        # 1 % above the best: 49800 -> 50298, 49800.01 -> 50298.0101 rounded up to 50298.02
        ("buy s1 alice market 0.1 stop 0 trail 100", ["49800", "50297.99", "50298"]),
        ("buy s1 alice market 0.1 stop 0 trail 100", ["49800.01", "50298.01", "50298.02"]),
        ("bid s1 alice 60000 0.1 profit 0 trail 100", ["50100", "50499.99", "50500"]),
        # Activated at 51000 and 49000: what came before does not count.
        ("sell s1 alice market 0.1 profit 51000 trail 100", ["50900", "50000", "51000", "50490.01", "50490"]),
        ("buy s1 alice market 0.1 profit 49000 trail 100", ["48999.99", "49489.98", "49489.99"]),
        ("buy s1 alice market 0.1 stop 51000 trail 100", ["51000", "50000", "50499.99", "50500"]),
        ("sell s1 alice market 0.1 stop 49000 trail 100", ["49000", "49500", "49005.01", "49005"]),
        # Met already: active at once with the last price.
        ("sell s1 alice market 0.1 stop 60000 trail 100", ["49500.01", "49500"]),
        ("buy s1 alice market 0.1 profit 60000 trail 100", ["50499.99", "50500"]),
    ],
)
def test_it_follows_the_best_price_since_activation(order: str, prices: list[str]) -> None:
    table = play(BOOK)
    assert table.ask(order) == "waits"
    answers = go(table, *prices)
    assert answers == [""] * (len(prices) - 1) + ["triggered s1"]


def test_on_a_fall_the_current_stops_and_the_fixed_ones_make_one_order() -> None:
    table = play(BOOK)
    table.play(
        """
        sell s1 alice market 0.1 stop 49600
        sell s2 alice market 0.1 stop 0 trail 100
        sell s3 alice market 0.1 stop 49500
        ask  m  dave 50400 1
        buy  p  erin market 0.1
        sell s4 alice market 0.1 stop 0 trail 200
        sell s5 alice market 0.1 stop 49896
        cancel m
        bid  d  dave 49000 9
        """
    )
    answer = table.ask("sell q erin market 0.1").split(", ")
    assert [part for part in answer if part.startswith("triggered")] == [
        "triggered s2", "triggered s5", "triggered s1", "triggered s3", "triggered s4",
    ]  # fmt: skip
    table.engine.validate()


def test_the_event_names_the_current_stop() -> None:
    table = play(BOOK)
    table.play("sell s1 alice market 0.1 stop 0 trail 100\nask m dave 50200 1\nbuy p erin market 0.1\ncancel m")
    table.ask("bid d dave 49000 1")
    events = table.place("q", "erin", side=1, order_kind=2, quantity_lots=10)
    (triggered,) = (event for event in events if event.KIND == 41)
    assert (triggered.stop_price_ticks, triggered.last_price_ticks) == (ticks("49698"), ticks("49000"))


def test_what_a_trailing_market_buy_holds_is_never_raised() -> None:
    """At its best price on entry: the last one where it is active at once, else its activation price."""
    table = play(BOOK)
    table.play(
        """
        set conditional_buffer_bp 100
        buy s1 alice market 0.1 stop 0 trail 100        -> waits
        balance alice USDT                              -> 994899.5 available, 5100.5 held
        buy s2 bob   market 0.1 stop 51000 trail 100    -> waits
        balance bob USDT                                -> 994797.49 available, 5202.51 held
        buy s3 carol market 0.1 stop 40000 trail 100    -> waits
        balance carol USDT                              -> 994899.5 available, 5100.5 held
        buy s4 frank market 0.1 profit 45000 trail 100  -> waits
        balance frank USDT                              -> 995409.55 available, 4590.45 held
        """
    )
    go(table, "49700")
    assert table.balance("alice", "USDT")[1] == 510_050_000_000


@pytest.mark.parametrize("bips", [0, 1, 9, 2_001, 2**32 - 1])
def test_a_distance_out_of_range_is_refused(bips: int) -> None:
    table = play(BOOK)
    table.account("alice")
    before = table.state_but_seq()
    answer = table.ask(f"sell s1 alice market 0.1 stop 0 trail {bips}")
    assert answer == ("rejected trailing_delta" if bips else "rejected malformed")
    assert table.state_but_seq() == before


def test_one_that_would_fire_at_once_is_not_refused() -> None:
    table = play(BOOK)
    table.play("sell s1 alice market 0.1 stop 50000 trail 10 -> waits")
    assert go(table, "49950") == ["triggered s1"]


# -- The structure against a model ------------------------------------------------------------------------------------
class Model:
    """Every order with its own best price, looked at one by one after every print."""

    def __init__(self) -> None:
        self.bests: dict[Order, int] = {}

    def stop(self, order: Order) -> int:
        assert order.terms is not None
        best, bips = self.bests[order], order.terms.trailing_bips
        if not bips:
            return order.terms.stop_price_ticks
        return best * (10_000 - bips) // 10_000 if order.side == SELL else -(-best * (10_000 + bips) // 10_000)

    def print(self, price: int) -> list[tuple[int, Order]]:
        falls, rises = [], []
        for order, best in list(self.bests.items()):
            terms = order.terms
            assert terms is not None
            if not terms.trailing_bips:
                if is_met(order, price):
                    falling = (order.kind == OrderKind.STOP_LOSS) == (order.side == SELL)
                    (falls if falling else rises).append(order)
            elif best:
                self.bests[order] = max(best, price) if order.side == SELL else min(best, price)
                if order.side == SELL and price <= self.stop(order):
                    falls.append(order)
                elif order.side == BUY and price >= self.stop(order):
                    rises.append(order)
            elif is_met(order, price):
                self.bests[order] = price
        falls.sort(key=lambda order: (-self.stop(order), seq_of(order)))
        rises.sort(key=lambda order: (self.stop(order), seq_of(order)))
        fired = [(self.stop(order), order) for order in (*falls, *rises)]
        for _, order in fired:
            del self.bests[order]
        return fired


def seq_of(order: Order) -> int:
    assert order.terms is not None
    return order.terms.accepted_seq


@pytest.mark.parametrize("seed", range(12))
def test_random_prints_against_a_model_with_one_best_for_each_order(seed: int) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    market = Market(SETTINGS, Asset(1, b"BTC"), Asset(2, b"USDT"))
    seat = Account(1).take_seat(market)
    watched, model, price, fired_in_all = Conditional(), Model(), 1_000, 0
    for step in range(1, 2_500):
        draw = random.random()
        if draw < 0.5:
            kind = random.choice((OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT))
            bips = random.choice((0, 10, 10, 50, 50, 137, 300, 2_000))
            stop = 0 if bips and random.random() < 0.5 else price + random.choice((-40, -9, -1, 1, 2, 15, 60))
            order = Order(seat, random.randrange(2), int(kind), 0, 1, 0, 1, 0, bytes(36), Terms(0, 0, stop, bips))
            assert order.terms is not None
            order.terms.accepted_seq = step
            if not bips and is_met(order, price):
                continue
            best = price if bips and is_met(order, price) else 0
            watched.add(order, best)
            model.bests[order] = best
        elif draw < 0.6 and model.bests:
            order = random.choice(list(model.bests))
            watched.remove(order)
            del model.bests[order]
        else:
            price = max(1, price + random.choice((-30, -3, -2, -1, 0, 0, 1, 2, 3, 30)))
            fired = model.print(price)
            if fired:
                assert not watched.low < price < watched.high
            if not watched.low < price < watched.high:
                assert watched.take(price) == fired
            fired_in_all += len(fired)
        for order, best in model.bests.items():
            assert order.terms is not None
            if order.terms.trailing_bips:
                assert order.terms.best_ticks == best
        assert watched.low < price < watched.high
    assert fired_in_all > 300


def test_segments_of_many_orders_become_one_without_touching_most_of_them() -> None:
    """A thousand orders at a falling price make a thousand segments, one print above them all makes one."""
    market = Market(SETTINGS, Asset(1, b"BTC"), Asset(2, b"USDT"))
    seat = Account(1).take_seat(market)
    watched = Conditional()
    for step in range(1_000):
        order = Order(seat, SELL, 4, 0, 1, 0, 1, 0, bytes(36), Terms(0, 0, 0, 2_000))
        assert order.terms is not None
        order.terms.accepted_seq = step + 1
        watched.take(100_000 - step)
        watched.add(order, 100_000 - step)
    assert len(watched.trailing_sells.segments) == 1_000
    watched.take(100_001)
    (segment,) = watched.trailing_sells.segments.values()
    assert isinstance(segment, Segment)
    assert (segment.best_ticks, len(segment.orders)) == (100_001, 1_000)
    assert [seq_of(order) for _, order in watched.take(80_000)] == list(range(1, 1_001))
    assert watched.trailing_sells.segments == {}
