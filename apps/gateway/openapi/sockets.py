"""What WebSockets offer beside the endpoints: methods of a session, and streams. Tests hold both against the code."""

from typing import Final, NamedTuple


class Stream(NamedTuple):
    """`fields`: names of its message; the letters are the dialect's."""

    name: str
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
    "userDataStream.start": "Begin a user data stream by listen key.",
    "userDataStream.ping": "Keep a listen key for another hour.",
    "userDataStream.stop": "End a user data stream.",
}

STREAMS: Final = (
    Stream("<symbol>@trade", "each trade", "e E s t p q T m M"),
    Stream("<symbol>@aggTrade", "each taker order and price", "e E s a p q f l T m M"),
    Stream("<symbol>@kline_<interval>", "a second, and at its end", "e E s k{t T s i f L o c h l v n x q V Q B}"),
    Stream("<symbol>@depth", "1000 ms", "e E s U u b a"),
    Stream("<symbol>@depth@100ms", "100 ms", "e E s U u b a"),
    Stream("<symbol>@depth5, 10, 20", "1000 ms; with @100ms as often", "lastUpdateId bids asks"),
    Stream("<symbol>@bookTicker", "each change of the best prices", "u s b B a A"),
    Stream("!bookTicker", "the same of all markets", "u s b B a A"),
    Stream("<symbol>@ticker", "a second, when something changed", "e E s p P w x c Q b B a A o h l v q O C F L n"),
    Stream("<symbol>@miniTicker", "a second, when something changed", "e E s c o h l v q"),
    Stream("!ticker@arr", "a second: a list of what changed", "e E s p P w x c Q b B a A o h l v q O C F L n"),
    Stream("!miniTicker@arr", "a second; also @1000ms, @3000ms", "e E s c o h l v q"),
    Stream("<symbol>@bookChecksum", "with each message of @depth@100ms (ours)", "e E s u c"),
    Stream("<symbol>@marketState", "each change (ours)", "e E s state cause rule until resumesAt ..."),
)
