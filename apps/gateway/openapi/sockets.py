"""Sentences about what WebSockets offer beside the endpoints: methods of a session, and streams.

A test finds one without its sentence, and a sentence without its method or stream.
"""

from typing import Final, NamedTuple


class StreamText(NamedTuple):
    """`fields`: names of its message; the letters are the dialect's."""

    meaning: str
    pace: str
    fields: str


SESSION_TEXTS: Final = {
    "session.logon": "Sign once with an Ed25519 key; requests after it need no signature.",
    "session.status": "Who is logged on, since when.",
    "session.logout": "Forget the session; signed requests go on working.",
    "session.subscriptions": "The user data subscriptions of this connection.",
    "userDataStream.subscribe": "Events of the session's account.",
    "userDataStream.subscribe.signature": "Events of the signing key's account, without a session.",
    "userDataStream.unsubscribe": "End one subscription, or all of them.",
}

# By the stream's first form in apps/gateway/streams/names.py.
STREAM_TEXTS: Final = {
    "<symbol>@trade": StreamText("Each trade.", "at once", "e E s t p q T m M"),
    "<symbol>@aggTrade": StreamText("A taker order's trades at one price.", "at once", "e E s a p q f l T m M"),
    "<symbol>@bookTicker": StreamText("Best prices and quantities.", "at once", "u s b B a A"),
    "!bookTicker": StreamText("Best prices and quantities of all markets.", "at once", "u s b B a A"),
    "<symbol>@depth": StreamText("Changes of the book.", "1000 ms", "e E s U u b a"),
    "<symbol>@depth@100ms": StreamText("Changes of the book.", "100 ms", "e E s U u b a"),
    "<symbol>@depth<levels>": StreamText("The best levels as they are.", "1000 ms", "lastUpdateId bids asks"),
    "<symbol>@depth<levels>@100ms": StreamText("The best levels as they are.", "100 ms", "lastUpdateId bids asks"),
    "<symbol>@bookChecksum": StreamText("Ours: the checksum of the book.", "with @depth@100ms", "e E s u c"),
    "<symbol>@kline_<interval>": StreamText(
        "A candle that begins in UTC.", "1 s, and at its end", "e E s k{t T s i f L o c h l v n x q V Q B}"
    ),
    "<symbol>@kline_<interval>@+08:00": StreamText(
        "A candle that begins at UTC+8.", "1 s, and at its end", "e E s k{t T s i f L o c h l v n x q V Q B}"
    ),
    "<symbol>@ticker": StreamText(
        "What traded in 24 hours.", "1 s, when it changed", "e E s p P w x c Q b B a A o h l v q O C F L n"
    ),
    "!ticker@arr": StreamText(
        "The same as a list of the markets that changed.", "1 s", "e E s p P w x c Q b B a A o h l v q O C F L n"
    ),
    "<symbol>@miniTicker": StreamText(
        "What traded in 24 hours, in short.", "1 s, when it changed", "e E s c o h l v q"
    ),
    "!miniTicker@arr": StreamText("The same as a list of the markets that changed.", "1 s", "e E s c o h l v q"),
    "<symbol>@ticker_<window>": StreamText(
        "What traded in a window that begins with a full minute.", "1 s, when it changed",
        "e E s p P o h l c w v q O C F L n",
    ),
    "!ticker_<window>@arr": StreamText(
        "The same as a list of the markets that changed.", "1 s", "e E s p P o h l c w v q O C F L n"
    ),
    "<symbol>@avgPrice": StreamText("Average price of five minutes.", "1 s, when it changed", "e E s i w T"),
    "<symbol>@marketState": StreamText(
        "Ours: state, cause, end, distance to a halt, what an auction would trade, silence of market data.",
        "as it changes",
        "e E s status marketState cause rule until resumesAt indicativePrice indicativeQty haltAbove haltBelow"
        " staleSince",
    ),
}  # fmt: skip
