"""The events of the current batch: numbers them, stamps the command's id on them, packs them.

The argument order of each pack is the field order of the record in apps/streams/events.py, which the tests check by
decoding every kind. The TRADE event is packed by the sweep itself (engine-figures.md section 5).
"""

from apps.matching.engine.list_events import ListEvents
from apps.matching.engine.market_events import MarketEvents
from apps.matching.engine.order_events import OrderEvents
from apps.matching.engine.relay_events import RelayEvents
from apps.matching.engine.request_events import RequestEvents


class Journal(OrderEvents, RequestEvents, ListEvents, MarketEvents, RelayEvents):
    """All of it, by what the events are about."""

    __slots__ = ()
