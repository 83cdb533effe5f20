"""Limits of this app, each with its source."""

from typing import Final

# How long `manage.py market` waits for the engine before it says that the change is queued.
STATE_WAIT_S: Final = 10

# clients.md section 5: diff depth every 100 ms or 1000 ms, klines and tickers about once a second.
DEPTH_FLUSH_MS: Final = 100
SECOND_FLUSH_MS: Final = 1_000
# clients.md section 2.9: GET /trades and /aggTrades answer up to 1000 from memory.
RECENT_TRADES_MAX: Final = 1_000
# Entries kept in the market data stream on redis-edge, about: a gateway that is further behind reloads the snapshot.
STREAM_ENTRIES_MAX: Final = 5_000
# Market data that wrote nothing for so long is silent: it writes each second.
SILENT_MS: Final = 5_000
# Old candles that one transaction deletes.
CANDLES_AT_ONCE: Final = 1_000
KLINES_LIMIT_MAX: Final = 1_000
# clients.md section 4: how often an order of a new market may be amended, unless staff says otherwise.
MAX_ORDER_AMENDS: Final = 10
