"""Names of the public market streams, once: the hub publishes under them, and the documents list the table below.

A name is the market's symbol in lower case and what follows here; streams of all markets begin with "!". What else a
client subscribes to is taken and stays silent; listen keys are streams too (userstreams.py).
"""

from typing import Final

from apps.markets.intervals import INTERVALS
from apps.markets.liveintervals import ZONE
from apps.markets.marketdata.ticker import WINDOWS

TRADE: Final = "@trade"
AGGREGATE: Final = "@aggTrade"
BEST: Final = "@bookTicker"
ALL_BEST: Final = "!bookTicker"
BARS: Final = "@kline_"
DEPTH: Final = "@depth"
# What streams of books are called at the speeds of marketdata's two chains.
FAST: Final = ("@100ms",)
SLOW: Final = ("", "@1000ms")
PARTIAL_LEVELS: Final = (5, 10, 20)
# The checksum of a book comes with each message of its fast chain.
CHECKSUM: Final = "@bookChecksum"
TICKER: Final = "@ticker"
MINI_TICKER: Final = "@miniTicker"
ALL_TICKERS: Final = ("!ticker@arr",)
ALL_MINI_TICKERS: Final = ("!miniTicker@arr", "!miniTicker@arr@1000ms", "!miniTicker@arr@3000ms")
AVERAGE: Final = "@avgPrice"
STATE: Final = "@marketState"


def window(name: str) -> tuple[str, str]:
    """What follows the symbol in the stream of a window such as 1h, and the stream of all markets."""
    return f"@ticker_{name}", f"!ticker_{name}@arr"


# What placeholders in the table stand for; <symbol> is the market's, in lower case.
PLACEHOLDERS: Final = {
    "<levels>": tuple(map(str, PARTIAL_LEVELS)), "<interval>": INTERVALS, "<window>": tuple(WINDOWS),
}  # fmt: skip
# Every stream by its forms: the one that documents name first, then others of the same content and pace.
TABLE: Final = (
    (f"<symbol>{TRADE}",),
    (f"<symbol>{AGGREGATE}",),
    (f"<symbol>{BEST}",),
    (ALL_BEST,),
    tuple(f"<symbol>{DEPTH}{speed}" for speed in SLOW),
    tuple(f"<symbol>{DEPTH}{speed}" for speed in FAST),
    tuple(f"<symbol>{DEPTH}<levels>{speed}" for speed in SLOW),
    tuple(f"<symbol>{DEPTH}<levels>{speed}" for speed in FAST),
    (f"<symbol>{CHECKSUM}",),
    (f"<symbol>{BARS}<interval>",),
    (f"<symbol>{BARS}<interval>{ZONE}",),
    (f"<symbol>{TICKER}",),
    ALL_TICKERS,
    (f"<symbol>{MINI_TICKER}",),
    ALL_MINI_TICKERS,
    (f"<symbol>{window('<window>')[0]}",),
    (window("<window>")[1],),
    (f"<symbol>{AVERAGE}",),
    (f"<symbol>{STATE}",),
)


def names_of(form: str, symbol: str) -> list[str]:
    """Every stream of this form, for one market."""
    names = [form.replace("<symbol>", symbol.lower())]
    for placeholder, values in PLACEHOLDERS.items():
        names = [name.replace(placeholder, value) for name in names for value in dict.fromkeys(values)]
    return list(dict.fromkeys(names))


def every_name(symbol: str) -> list[str]:
    return [name for forms in TABLE for form in forms for name in names_of(form, symbol)]
