"""Random commands that use every order kind, time in force and self-trade mode, and let time pass in larger steps.

`Commands` itself stays as it is: the golden snapshot bodies of older rules are states of its histories.
"""

from dataclasses import asdict
from typing import Any

from apps.streams.kinds import OrderKind, StpMode, TimeInForce
from apps.streams.records import PlaceOrder
from tests.matching.engine.random_commands import Commands as SpineCommands

RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD)
IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class Commands(SpineCommands):
    """One random history over all rules."""

    def _order(self) -> PlaceOrder:
        random, order = self.random, super()._order()
        fields: dict[str, Any] = asdict(order)
        if random.random() < 0.5:
            fields["stp_mode"] = random.choice(tuple(StpMode))
        if order.order_kind == OrderKind.LIMIT and random.random() < 0.6:
            if random.random() < 0.15:
                fields["order_kind"] = OrderKind.LIMIT_MAKER
            fields["time_in_force"] = random.choice(RESTING + IMMEDIATE)
            if fields["time_in_force"] == TimeInForce.GTD:
                fields["expires_ms"] = self.now_ms + random.choice((-5, 0, 1, 30, 300, 3_000, 10**9))
            if random.random() < 0.35:
                fields["display_lots"] = random.choice((1, 2, 5, 20, order.quantity_lots))
        return PlaceOrder(**fields)
