"""Random commands that use every order kind, time in force and self-trade mode, and let time pass in larger steps.

`Commands` itself stays as it is: the golden snapshot bodies of older rules are states of its histories.
"""

from dataclasses import asdict, replace
from typing import Any

from apps.streams.codec import encode_command, encode_replace
from apps.streams.kinds import OrderKind, StpMode, TimeInForce
from apps.streams.records import AmendOrder, PlaceOrder, ReplaceOrder, SetCancelTimer
from tests.matching.engine.random_commands import ACCOUNTS
from tests.matching.engine.random_commands import Commands as SpineCommands

RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD)
IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class Commands(SpineCommands):
    """One random history over all rules. `placed` is (account, client id, lots) of limit orders."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.placed: list[tuple[int, str, int]] = []

    def _choose(self) -> bytes:
        if self.placed and self.random.random() < 0.07:
            return encode_command(self._amend())
        if self.random.random() < 0.01:
            timeout_ms = self.random.choice((0, 1, 300, 2_000, 2_000))
            return encode_command(SetCancelTimer(account_id=self.random.choice(ACCOUNTS), timeout_ms=timeout_ms))
        if self.placed and self.random.random() < 0.04:
            return self._replace()
        return super()._choose()

    def _replace(self) -> bytes:
        account_id, client_id, _ = self.random.choice(self.placed[-20:])
        order = replace(self._order(), account_id=account_id)
        mode = self.random.choice((0, 1, 1, 1, 2, 2))
        head = ReplaceOrder(market_id=order.market_id, account_id=account_id, client_id=client_id, mode=mode)
        return encode_replace(head, order)

    def _amend(self) -> AmendOrder:
        random = self.random
        account_id, client_id, lots = random.choice(self.placed[-30:])
        quantity_lots = random.choice((0, 1, lots - 1, lots // 2, lots // 2, lots))
        if random.random() < 0.2:
            return AmendOrder(account_id=account_id, order_id=random.randrange(400), quantity_lots=quantity_lots)
        return AmendOrder(account_id=account_id, client_id=client_id, quantity_lots=quantity_lots)

    def _order(self) -> PlaceOrder:
        random, order = self.random, super()._order()
        fields: dict[str, Any] = asdict(order)
        if random.random() < 0.5:
            fields["stp_mode"] = random.choice((*StpMode, StpMode.DECREMENT, StpMode.DECREMENT))
        if order.order_kind == OrderKind.LIMIT and random.random() < 0.6:
            if random.random() < 0.15:
                fields["order_kind"] = OrderKind.LIMIT_MAKER
            fields["time_in_force"] = random.choice(RESTING + IMMEDIATE)
            if fields["time_in_force"] == TimeInForce.GTD:
                fields["expires_ms"] = self.now_ms + random.choice((-5, 0, 1, 30, 300, 3_000, 10**9))
            if random.random() < 0.35:
                fields["display_lots"] = random.choice((1, 2, 5, 20, order.quantity_lots))
        if order.client_id and order.quantity_lots > 1:
            self.placed.append((order.account_id, order.client_id, order.quantity_lots))
        return PlaceOrder(**fields)
