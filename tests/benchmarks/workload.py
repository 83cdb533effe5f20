"""The workloads `mix`, `sweep` and `deep` after one common description, seeded and deterministic.

The fair value is a Gaussian random walk. Passive orders stand 1 + D ticks from it, D from a mixture of three
exponentials, at best one tick inside the opposite best. Takers lean towards the fair value, quantities are
log-normal, a cancel takes a uniformly random live order, and the cancel rate feeds back on the size of the book.
Buyers have even account ids, sellers odd ones, all are funded: nothing is rejected and no one meets himself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from struct import Struct

from tests.benchmarks.book_oracle import BookOracle

START_TICKS = 100_000
ACCOUNTS = 1_000  # of each side
FIRST_ACCOUNT = 1_002

LIMIT, MARKET, CANCEL = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes a workload. Shares are of the commands after the prefill; distances are in ticks."""

    name: str
    walk_ticks: float
    crossing: float
    market: float
    cancel: float
    book_size: int
    prefill: int
    distances: tuple[tuple[float, float], ...]
    passive_lots: float
    taker_lots: float
    prefill_share: float = 0.25  # of all commands, at most


SHAPES = {
    "mix": Shape(
        name="mix",
        walk_ticks=0.3,
        crossing=0.084,
        market=0.051,
        cancel=0.390,
        book_size=19_500,
        prefill=20_000,
        distances=((0.45, 4.0), (0.40, 60.0), (0.15, 300.0)),
        passive_lots=20.0,
        taker_lots=14.0,
    ),
    "sweep": Shape(
        name="sweep",
        walk_ticks=1.0,
        crossing=0.0,
        market=0.2015,
        cancel=0.046,
        book_size=18_500,
        prefill=20_000,
        distances=((0.30, 20.0), (0.45, 200.0), (0.25, 900.0)),
        passive_lots=20.0,
        taker_lots=70.0,
    ),
    "deep": Shape(
        name="deep",
        walk_ticks=0.3,
        crossing=0.084,
        market=0.051,
        cancel=0.390,
        book_size=397_000,
        prefill=400_000,
        distances=((0.20, 60.0), (0.42, 2_500.0), (0.38, 6_000.0)),
        passive_lots=20.0,
        taker_lots=14.0,
        prefill_share=0.4,
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One command. order_id is the engine's: the n-th placed order has id n, as nothing is refused."""

    kind: int
    buy: bool
    account_id: int
    price_ticks: int
    lots: int
    order_id: int

    LAYOUT = Struct("<BBIqqQ")


def steps(shape: Shape, count: int, seed: int, oracle: BookOracle) -> Iterator[Step]:
    """`count` commands; `oracle` follows them and collects the trades."""
    random = Random(seed)
    prefill = min(shape.prefill, int(count * shape.prefill_share))
    book_size = min(shape.book_size, prefill)
    fair = float(START_TICKS)
    live: list[int] = []
    place: dict[int, int] = {}
    owner: dict[int, tuple[bool, int]] = {}
    last_order_id = 0

    def forget(order_id: int) -> None:
        position, newest = place.pop(order_id), live.pop()
        if newest != order_id:
            live[position] = newest
            place[newest] = position
        del owner[order_id]

    def lots_of(mean: float) -> int:
        return max(1, round(mean * random.lognormvariate(-0.5, 1.0)))

    for turn in range(count):
        fair += random.gauss(0.0, shape.walk_ticks)
        best_bid, best_ask = oracle.best_bid(), oracle.best_ask()
        draw = random.random()
        cancel = 0.0 if turn < prefill else shape.cancel * (len(live) / book_size) ** 2
        if draw < cancel:
            order_id = live[random.randrange(len(live))]
            buy, account_id = owner[order_id]
            oracle.cancel(order_id)
            forget(order_id)
            yield Step(CANCEL, buy, account_id, 0, 0, order_id)
            continue
        last_order_id += 1
        takes = turn >= prefill and best_bid and best_ask
        middle = (best_bid + best_ask) / 2 if takes else fair
        lean = max(-0.4, min(0.4, (fair - middle) / (10 * shape.walk_ticks)))
        buy = random.random() < 0.5 + (lean if takes else 0.0)
        account_id = FIRST_ACCOUNT + 2 * random.randrange(ACCOUNTS) + (0 if buy else 1)
        if takes and draw > 1.0 - shape.market:
            lots = lots_of(shape.taker_lots)
            filled = oracle.market(last_order_id, buy, lots)
            step = Step(MARKET, buy, account_id, 0, lots, last_order_id)
        else:
            if takes and draw > 1.0 - shape.market - shape.crossing:
                price, lots = (best_ask if buy else best_bid), lots_of(shape.taker_lots)
            else:
                price, lots = passive_price(random, shape, fair, buy, best_bid, best_ask), lots_of(shape.passive_lots)
            filled = oracle.limit(last_order_id, buy, price, lots)
            if last_order_id in oracle.where:
                place[last_order_id] = len(live)
                live.append(last_order_id)
                owner[last_order_id] = (buy, account_id)
            step = Step(LIMIT, buy, account_id, price, lots, last_order_id)
        for maker in filled:
            forget(maker)
        yield step


def passive_price(random: Random, shape: Shape, fair: float, buy: bool, best_bid: int, best_ask: int) -> int:
    draw, distance = random.random(), 0.0
    for share, mean in shape.distances:
        if draw < share:
            distance = random.expovariate(1.0 / mean)
            break
        draw -= share
    if buy:
        price = round(fair - 1 - distance)
        return max(1, min(price, best_ask - 1) if best_ask else price)
    return max(round(fair + 1 + distance), best_bid + 1)
