"""Traders that place orders while things break, and keep their own history of what they were told."""

import itertools
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.dialect import Account, Dialect, Unknown
from tests.stack import Stack

SYMBOL = "LTCUSDT"
RETRY_S = 0.2
# Between two orders, so that traders leave a small machine some of its time for what is tested under their load.
PAUSE_S = 0.05
# Far fewer open orders than a market allows one account, so that the exchange never refuses for their number.
CLEAR_EVERY = 60


@dataclass(slots=True)
class History:
    """One trader's own record. `acknowledged`: client id -> last answer; `unknown`: sent, never answered."""

    account: Account
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    canceled: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    refused: list[tuple[int, Any]] = field(default_factory=list)


class Trader(threading.Thread):
    """Limit orders around one price, so that traders meet; now and then a cancel; then soon the next.

    An unanswered order is never sent again: it may be executed or not, but at most once.
    """

    def __init__(self, stack: Stack, account: Account, *, seed: int, stopped: threading.Event) -> None:
        super().__init__(name=f"trader-{account.account_id}", daemon=True)
        self.history = History(account)
        self.failure: BaseException | None = None
        self._stack = stack
        self._random = random.Random(seed)
        self._stopped = stopped

    def run(self) -> None:
        try:
            with Dialect(self._stack.base_url, self.history.account, timeout_s=15) as client:
                for number in itertools.count():
                    if self._stopped.is_set():
                        return
                    self._place(client, f"h{self.history.account.account_id}-{number}")
                    if number % CLEAR_EVERY == CLEAR_EVERY - 1:
                        self._cancel_all(client)
                    self._stopped.wait(PAUSE_S)
        except BaseException as failure:  # noqa: BLE001 - shown by the test, which joins this thread
            self.failure = failure

    def _place(self, client: Dialect, client_id: str) -> None:
        draw = self._random
        params = {
            "symbol": SYMBOL,
            "side": draw.choice(("BUY", "SELL")),
            "type": "LIMIT",
            "timeInForce": "GTC",
            "price": f"{draw.randint(9990, 10010) / 100:.2f}",
            "quantity": f"{draw.randint(1, 20) / 10:.1f}",
            "newClientOrderId": client_id,
        }
        try:
            status, body = client.signed("POST", "/api/v3/order", **params)
        except Unknown:
            self.history.unknown.add(client_id)
            self._stopped.wait(RETRY_S)
            return
        if status == 200:
            self.history.acknowledged[client_id] = body
            if body["status"] in ("NEW", "PARTIALLY_FILLED") and draw.random() < 0.3:
                self._cancel(client, client_id)
        elif status == 504:
            self.history.unknown.add(client_id)
        else:
            self.history.refused.append((status, body))
            self._stopped.wait(RETRY_S)

    def _cancel(self, client: Dialect, client_id: str) -> None:
        try:
            status, _ = client.signed("DELETE", "/api/v3/order", symbol=SYMBOL, origClientOrderId=client_id)
        except Unknown:
            return
        if status == 200:
            self.history.canceled.add(client_id)

    def _cancel_all(self, client: Dialect) -> None:
        """Again until it is answered: cancelling twice does no harm. -2011 says that nothing was open."""
        while not self._stopped.is_set():
            try:
                status, body = client.signed("DELETE", "/api/v3/openOrders", symbol=SYMBOL)
            except Unknown:
                status, body = 0, None
            if status == 200:
                self.history.canceled.update(order["origClientOrderId"] for order in body)
            if status == 200 or (status == 400 and body["code"] == -2011):
                return
            self._stopped.wait(RETRY_S)
